//! Dead letters for operators: list, show, replay, discard.
//!
//! Replaying only asks: the member that owns the partition tries the record again, between two batches
//! and under its epoch, and then whatever waited behind it.

mod discard;
mod failure;
mod filter;
pub(crate) mod headers;
mod list;
mod replay;
mod rows;
mod show;

use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;
use sqlx::PgPool;

pub use failure::{Failure, Reason};
pub use filter::{Condition, Filter};

/// What an operator does with dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Lists those that wait for somebody; with --all the settled ones too.
    List {
        /// Also what was replayed or discarded.
        #[arg(long)]
        all: bool,
        /// Only those: `reason=…,topic=…,key=…`, each of them or some.
        #[arg(long = "where", value_name = "CONDITIONS")]
        conditions: Vec<Filter>,
        /// Rows at most.
        #[arg(long, default_value_t = 100)]
        limit: i64,
    },
    /// Shows one whole: cause, position, headers, bytes.
    Show {
        /// The dead letter's id, from the list.
        id: i64,
    },
    /// Tries again what was parked; what waits behind it follows by itself.
    Replay {
        /// The dead letters' ids.
        ids: Vec<i64>,
        /// All that are pending.
        #[arg(long)]
        all: bool,
        /// All that are pending and meet this: `reason=…,topic=…,key=…`, each of them or some.
        #[arg(long = "where", value_name = "CONDITIONS")]
        conditions: Vec<Filter>,
        /// Tells how many it would ask for, and asks for none.
        #[arg(long)]
        dry_run: bool,
        /// How long to wait for the processor while nothing moves.
        #[arg(long, default_value_t = 30)]
        wait_seconds: u64,
    },
    /// Gives records up for good; what waits behind them is applied.
    Discard {
        /// The dead letters' ids.
        ids: Vec<i64>,
        /// All that wait and meet this: `reason=…,topic=…,key=…`, each of them or some.
        #[arg(long = "where", value_name = "CONDITIONS")]
        conditions: Vec<Filter>,
        /// Why; kept with the dead letter.
        #[arg(long)]
        reason: String,
        /// Tells how many it would give up, and gives up none.
        #[arg(long)]
        dry_run: bool,
    },
}

impl DeadLettersCommand {
    /// Runs the command on a service's database and prints what came of it.
    ///
    /// # Errors
    /// No such dead letter, one that is settled already, or a processor that does not come to it in time.
    pub async fn run(self, pool: &PgPool) -> anyhow::Result<()> {
        match self {
            Self::List { all, conditions, limit } => list::list(pool, all, &Filter::all_of(conditions)?, limit).await,
            Self::Show { id } => show::show(pool, id).await,
            Self::Replay {
                ids,
                all,
                conditions,
                dry_run,
                wait_seconds,
            } => {
                let chosen = Chosen::by(ids, conditions, all)?;
                replay::replay(pool, &chosen, dry_run, Duration::from_secs(wait_seconds)).await
            }
            Self::Discard {
                ids,
                conditions,
                reason,
                dry_run,
            } => {
                let chosen = Chosen::by(ids, conditions, false)?;
                discard::discard(pool, &chosen, &reason, dry_run).await
            }
        }
    }
}

/// Which letters a command is about.
enum Chosen {
    /// These, and it is an error if one of them is not there to be chosen.
    Ids(Vec<i64>),
    /// As many as there are.
    Where(Filter),
}

impl Chosen {
    fn by(ids: Vec<i64>, conditions: Vec<Filter>, all: bool) -> anyhow::Result<Self> {
        let ways = usize::from(!ids.is_empty()) + usize::from(!conditions.is_empty()) + usize::from(all);
        if ways != 1 {
            bail!(
                "say in one way which dead letters: by ids from `dead-letters list`, by --where reason=…,topic=…,key=…, \
                   or, to replay all that are pending, by --all"
            );
        }
        Ok(if ids.is_empty() {
            Self::Where(Filter::all_of(conditions)?)
        } else {
            Self::Ids(ids)
        })
    }
}
