//! The whole `main` of a processor: settings, commands, health, runner, relay.

mod run;
mod settings;

use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use event::{BoxFuture, LearnError};
use http_kit::service::healthcheck;
use http_kit::settings::{CommonSettings, SettingsArgs, load};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

pub use run::watch_database;
pub use settings::ProcessorSettings;

use crate::backend::{PgTx, migrate_library};
use crate::dead_letters::DeadLettersCommand;
use crate::kafka::topics::{TopicLayout, create_topics};
use crate::time_limit::with_time_limits;
use crate::topology::Topology;

/// Makes the topology once the schema registry has answered; called again until it does.
pub type Connect = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Topology<PgTx>, LearnError>> + Send + Sync>;

/// A processor as a program.
pub struct ProcessorService {
    /// Its name: in logs, as CloudEvents `source`, on the command line.
    pub name: &'static str,
    /// Where it listens for health and metrics unless it is told otherwise.
    pub default_listen: &'static str,
    /// The service's own tables.
    pub migrator: &'static Migrator,
    /// The role that the service works as.
    pub app_role: &'static str,
    /// The topics that the platform needs, created by `create-topics`.
    pub topics: &'static [&'static str],
    /// The topology, given the registry's URL.
    pub connect: Connect,
    /// The topology's description, which needs no registry.
    pub describe: fn() -> crate::topology::TopologyDescription,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Processes until it is stopped (the default).
    Run,
    /// Tells by its exit code whether the process on this address is ready.
    Healthcheck,
    /// Creates and updates the tables, and the role that the service works as; `database_url` is the owner's.
    Migrate,
    /// Creates the topics that are missing.
    CreateTopics,
    /// Prints the topology.
    Topology {
        /// As a Mermaid flowchart.
        #[arg(long)]
        mermaid: bool,
    },
    /// Lists, shows, replays and discards records that could not be applied.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
}

impl ProcessorService {
    /// Runs whatever the command line asks for.
    ///
    /// # Errors
    /// Settings that are not right, an address that is taken, a command that fails.
    pub fn main(self) -> anyhow::Result<()> {
        let cli = Cli::parse();
        if let Some(Command::Topology { mermaid }) = cli.command {
            let description = (self.describe)();
            print!(
                "{}",
                if mermaid {
                    description.mermaid().to_owned()
                } else {
                    description.to_string()
                }
            );
            return Ok(());
        }
        let (common, settings) = load(&cli.settings, self.default_listen)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(self.execute(cli.command.unwrap_or(Command::Run), common, settings))
    }

    async fn execute(
        self,
        command: Command,
        common: CommonSettings,
        settings: ProcessorSettings,
    ) -> anyhow::Result<()> {
        match command {
            Command::Run => run::run(self, common, settings).await,
            Command::Healthcheck => healthcheck(common.listen).await,
            Command::Migrate => self.migrate(&settings).await,
            Command::CreateTopics => {
                let brokers = settings.kafka_brokers()?;
                let created = create_topics(brokers, self.topics, settings.topic_layout()?).await?;
                println!("created {} topics: {created:?}; the others were there", created.len());
                Ok(())
            }
            Command::DeadLetters(command) => command.run(&connect(&settings, self.name)?).await,
            Command::Topology { .. } => Ok(()),
        }
    }

    /// The library's tables, the service's, and the role's password.
    async fn migrate(&self, settings: &ProcessorSettings) -> anyhow::Result<()> {
        let pool = connect(settings, "migrate")?;
        let library = migrate_library(&pool)
            .await
            .context("could not create the library's tables")?;
        self.migrator
            .run(&pool)
            .await
            .context("could not create the service's tables")?;
        if let Some(password) = &settings.app_password {
            let quoted = password.expose().replace('\'', "''");
            let statement = format!("alter role {} password '{quoted}'", self.app_role);
            // A role's password cannot be a parameter.
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&pool)
                .await
                .context("could not set the role's password")?;
        }
        println!("migrated: {} and {} migrations", library, self.migrator.iter().count());
        Ok(())
    }
}

impl TopicLayout {
    pub(crate) fn new(partitions: i32, replicas: i32, retention_hours: u32) -> Self {
        Self {
            partitions,
            replicas,
            retention_ms: i64::from(retention_hours) * 3_600_000,
        }
    }
}

/// Connections that give up what they hold when this process is stopped in mid-transaction, and notice a dead server.
///
/// # Errors
/// The URL cannot be read.
pub fn connect(settings: &ProcessorSettings, name: &str) -> anyhow::Result<PgPool> {
    connections(
        settings.database_url.expose(),
        settings.database_connections_max,
        name,
        "60s",
    )
}

/// See [`connect`]; for services that are no processors. A statement ends before nobody waits for it any more: otherwise its
/// connection would be taken for a dead one.
///
/// # Errors
/// The URL cannot be read.
pub fn pool(url: &str, connections_max: u32, name: &str) -> anyhow::Result<PgPool> {
    connections(url, connections_max, name, "2500ms")
}

fn connections(url: &str, connections_max: u32, name: &str, statement_timeout: &str) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = url.parse().context("database_url is not a postgres:// URL")?;
    let options = options.application_name(name).options([
        ("idle_in_transaction_session_timeout", "5s"),
        ("statement_timeout", statement_timeout),
        // Less than we wait for any answer, so that whoever waits for a lock is told so.
        ("lock_timeout", "2500ms"),
        // Whoever hung up wants no answer, and one who cannot be reached has none of our connections for long.
        ("client_connection_check_interval", "2s"),
        ("tcp_user_timeout", "15s"),
        ("tcp_keepalives_idle", "15"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        // Our statements are few and always the same: planned once per connection they cost a fifth less than planned each
        // time. A plan may be as old as its table was empty, so it must not be one that reads tables whole.
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        // Compiling a statement takes a thousand times as long as running it.
        ("jit", "off"),
        // A lock is waited for, and then the row looked at anew: whatever a database or a role has as its default.
        ("default_transaction_isolation", "read committed"),
    ]);
    Ok(with_time_limits(PgPoolOptions::new())
        .max_connections(connections_max)
        .acquire_timeout(std::time::Duration::from_secs(2))
        // A ping for each use would cost as much as the work.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

impl std::fmt::Debug for ProcessorService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessorService")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
