//! Databases that answer, and say no: errors that pass, sessions that are ended, connections that have run out, locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use platform_tests::{LinkName, Tables, eventually};
use sqlx::{AssertSqlSafe, PgPool};

use crate::Bench;
use crate::cases::Health;
use crate::episode::Episode;
use crate::trial;

/// What is wrong with both databases.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Each third statement that writes to a table of business, inbox, outbox, positions or relay fails with this
    /// SQLSTATE.
    Raise(&'static str),
    /// Each third COMMIT of such a statement does.
    RaiseAtCommit(&'static str),
    /// Every session of the services is ended, again and again (57P01).
    EndSessions,
    /// The services' roles may have so many connections each, and the sessions that they have are ended once.
    LimitConnections(i32),
    /// Somebody holds a lock on the tables that every batch needs, for longer than anybody waits for it.
    HoldLocks,
}

const A_WHILE: Health = Health::IsItsOwnAffair(Duration::from_millis(1_500));

const CASES: [(&str, Trouble, Health); 9] = [
    ("serialization_failures", Trouble::Raise("40001"), A_WHILE),
    ("deadlocks", Trouble::Raise("40P01"), A_WHILE),
    ("statements_say_that_the_disk_is_full", Trouble::Raise("53100"), A_WHILE),
    (
        "serialization_failures_at_commit",
        Trouble::RaiseAtCommit("40001"),
        A_WHILE,
    ),
    ("statements_cancelled", Trouble::Raise("57014"), A_WHILE),
    ("sessions_ended", Trouble::EndSessions, A_WHILE),
    ("no_connections_left", Trouble::LimitConnections(0), Health::TurnsRed),
    ("few_connections_left", Trouble::LimitConnections(3), A_WHILE),
    (
        "tables_locked",
        Trouble::HoldLocks,
        Health::IsItsOwnAffair(Duration::from_secs(6)),
    ),
];

/// Counted outside of transactions, for those that fail are rolled back.
const FUNCTION: &str = "
create sequence fault_counter;
create function raise_fault() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if nextval('fault_counter') % 3 = 0 then
        raise exception 'injected by a test' using errcode = tg_argv[0];
    end if;
    return null;
end $$";
const WELL_AGAIN: &str = "drop function if exists raise_fault() cascade; drop sequence if exists fault_counter";

const ORDERS: [&str; 4] = ["orders", "streams.outbox", "streams.consumer_position", "streams.relay"];
const PAYMENTS: [&str; 6] = [
    "accounts",
    "ledger",
    "payment_attempts",
    "streams.outbox",
    "streams.consumer_position",
    "streams.relay",
];

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trials = CASES.iter().map(|(name, trouble, health)| {
        let title = format!("database::{name}");
        trial(bench, title.clone(), async move |bench| {
            suffered(bench, title, *trouble, *health).await
        })
    });
    trials.collect()
}

async fn suffered(bench: &Bench, title: String, trouble: Trouble, health: Health) -> anyhow::Result<()> {
    let tables = &bench.platform.tables;
    let mut episode = Episode::begin(bench, title, LinkName::Postgres).await?;
    let ended = AtomicU64::new(0);
    let begun = begin(tables, trouble).await;
    episode.note(format!("{trouble:?}"));
    let seen = if begun.is_err() {
        begun
    } else {
        let hits = async || match trouble {
            Trouble::Raise(_) | Trouble::RaiseAtCommit(_) => raised(tables).await,
            Trouble::EndSessions => Ok(ended.load(Ordering::Relaxed)),
            Trouble::LimitConnections(_) | Trouble::HoldLocks => Ok(1),
        };
        tokio::select! {
            seen = episode.suffer(health, hits) => seen,
            failed = keep_up(tables, trouble, &ended) => failed,
        }
    };
    end(tables, trouble).await?;
    episode.note("well again");
    episode.end(seen).await
}

async fn begin(tables: &Tables, trouble: Trouble) -> anyhow::Result<()> {
    for (pool, names, role) in both(tables) {
        match trouble {
            Trouble::Raise(code) => {
                run(pool, FUNCTION.to_owned()).await?;
                for name in names {
                    run(
                        pool,
                        format!(
                            "create trigger fault before insert or update on {name}
                             for each statement execute function raise_fault('{code}')"
                        ),
                    )
                    .await?;
                }
            }
            Trouble::RaiseAtCommit(code) => {
                run(pool, FUNCTION.to_owned()).await?;
                run(
                    pool,
                    format!(
                        "create constraint trigger fault after insert or update on {}
                         deferrable initially deferred for each row execute function raise_fault('{code}')",
                        names[0]
                    ),
                )
                .await?;
            }
            Trouble::LimitConnections(limit) => {
                run(pool, format!("alter role {role} connection limit {limit}")).await?;
                end_sessions(pool, role).await?;
            }
            Trouble::EndSessions | Trouble::HoldLocks => {}
        }
    }
    Ok(())
}

/// What must be done for as long as the trouble lasts; ends with an error only.
async fn keep_up(tables: &Tables, trouble: Trouble, ended: &AtomicU64) -> anyhow::Result<()> {
    match trouble {
        Trouble::EndSessions => loop {
            for (pool, _, role) in both(tables) {
                ended.fetch_add(end_sessions(pool, role).await?, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        },
        Trouble::HoldLocks => {
            let (mut orders, mut payments) = (tables.orders.begin().await?, tables.payments.begin().await?);
            let lock = "lock table streams.consumer_position, streams.outbox in exclusive mode";
            sqlx::query(lock).execute(&mut *orders).await?;
            sqlx::query(lock).execute(&mut *payments).await?;
            // Given back when this is dropped.
            std::future::pending().await
        }
        _ => std::future::pending().await,
    }
}

async fn end(tables: &Tables, trouble: Trouble) -> anyhow::Result<()> {
    for (pool, _, role) in both(tables) {
        match trouble {
            Trouble::Raise(_) | Trouble::RaiseAtCommit(_) => run(pool, WELL_AGAIN.to_owned()).await?,
            Trouble::LimitConnections(_) => run(pool, format!("alter role {role} connection limit -1")).await?,
            Trouble::EndSessions | Trouble::HoldLocks => {}
        }
    }
    Ok(())
}

fn both(tables: &Tables) -> [(&PgPool, &'static [&'static str], &'static str); 2] {
    [
        (&tables.orders, &ORDERS, "orders_app"),
        (&tables.payments, &PAYMENTS, "payments_app"),
    ]
}

async fn raised(tables: &Tables) -> anyhow::Result<u64> {
    let mut least = u64::MAX;
    for (pool, ..) in both(tables) {
        let raised = Tables::number(pool, "select last_value / 3 from fault_counter").await?;
        least = least.min(u64::try_from(raised)?);
    }
    Ok(least)
}

async fn end_sessions(pool: &PgPool, role: &str) -> anyhow::Result<u64> {
    let ended: i64 = sqlx::query_scalar(
        "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
          where usename = $1 and datname = current_database()",
    )
    .bind(role)
    .fetch_one(pool)
    .await?;
    Ok(u64::try_from(ended)?)
}

/// A trigger needs a lock that whoever is writing stands in the way of, and now and then the two wait for each other: then
/// it is asked for again. What a case has changed must not outlive it, or all that follow fail with it.
async fn run(pool: &PgPool, statements: String) -> anyhow::Result<()> {
    eventually(PATIENCE, "the database takes a change of its tables", async || {
        // Only names that this file makes up are in it.
        sqlx::raw_sql(AssertSqlSafe(statements.clone())).execute(pool).await?;
        Ok(true)
    })
    .await
}
