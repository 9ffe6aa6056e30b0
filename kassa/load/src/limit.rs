//! The limit L(100): what Postgres does for 100 orders, and nothing else, on the very server of the platform.
//!
//! A database of its own with the tables of both services; `sql/limit.sql` is the program.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sqlx::migrate::Migrator;
use sqlx::{PgPool, Row as _};

use crate::args::Platform;
use crate::cpu::{self, Process};
use crate::figures::{LimitRun, per};
use crate::pgbench::{self, Outcome};
use crate::server::{pool, vacuum};

const SCRIPT: &str = include_str!("../sql/limit.sql");
const UNBATCHED: &str = include_str!("../sql/unbatched.sql");
/// As many clients as a service would have connections.
const UNBATCHED_CLIENTS: u16 = 16;
const CLIENTS: u16 = 4;
const ORDERS_PER_TRANSACTION: u64 = 100;
const WARM_UP_SECONDS: u64 = 2;
const DATABASE: &str = "load_limit";

/// The library's tables come first. The services number their migrations alike, so they are applied without the
/// bookkeeping that would take one's first for the other's.
static MIGRATIONS: [&Migrator; 3] = [&STREAMS, &ORDERS, &PAYMENTS];
static STREAMS: Migrator = sqlx::migrate!("../../processors/streams/migrations");
static ORDERS: Migrator = sqlx::migrate!("../../processors/orders/migrations");
static PAYMENTS: Migrator = sqlx::migrate!("../../processors/payments/migrations");

/// As many accounts as the script chooses from, with money for ever.
const ACCOUNTS: &str = "
    insert into accounts (user_id, id, balance)
    select 'limit-' || n, gen_random_uuid(), 1000000000 from generate_series(0, 99999) n";
/// The relay that would make the next partitions does not run here.
const REST_OF_OUTBOX: &str = "create table streams.outbox_rest partition of streams.outbox default";

/// The limit program, ready to run.
#[derive(Debug)]
pub(crate) struct Limit {
    server: PgPool,
    database: PgPool,
    url: String,
    pgbench: PathBuf,
    postgres: Process,
}

impl Limit {
    /// Makes the database.
    ///
    /// # Errors
    /// The server does not answer, or a migration fails.
    pub(crate) async fn prepare(platform: &Platform, pgbench: &Path) -> anyhow::Result<Self> {
        let server = pool(&platform.server).await?;
        drop_database(&server).await?;
        sqlx::query("create database load_limit").execute(&server).await?;
        let (base, _) = platform
            .server
            .rsplit_once('/')
            .context("the server's URL ends with a database")?;
        let url = format!("{base}/{DATABASE}");
        let database = pool(&url).await?;
        for migration in MIGRATIONS.iter().flat_map(|migrator| migrator.iter()) {
            let applied = sqlx::raw_sql(migration.sql.clone()).execute(&database).await;
            applied.with_context(|| format!("could not apply {}", migration.description))?;
        }
        for statement in [REST_OF_OUTBOX, ACCOUNTS] {
            sqlx::query(statement).execute(&database).await?;
        }
        Ok(Self {
            server,
            database,
            url,
            pgbench: pgbench.to_owned(),
            postgres: platform.process("postgres")?.clone(),
        })
    }

    /// Runs it for `seconds` after a warm-up.
    ///
    /// # Errors
    /// pgbench fails, or an order is not paid in the end.
    pub(crate) async fn run(&self, seconds: u64) -> anyhow::Result<LimitRun> {
        self.pgbench(WARM_UP_SECONDS)?;
        let paid_before = self.paid().await?;
        let cpu_before = self.cpu_us()?;
        let outcome = self.pgbench(seconds)?;
        let cpu_us = self.cpu_us()? - cpu_before;
        let orders = outcome.transactions * ORDERS_PER_TRANSACTION;
        let paid = self.paid().await? - paid_before;
        ensure!(
            paid == orders && orders > 0,
            "the limit program placed {orders} orders, but {paid} were paid"
        );
        Ok(LimitRun {
            orders_per_second: outcome.per_second * ORDERS_PER_TRANSACTION as f64,
            cpu_us_per_order: per(cpu_us, orders as f64),
        })
    }

    /// Pays off what the last run has left to do.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn vacuum(&self) -> anyhow::Result<()> {
        vacuum(&self.database).await
    }

    /// Drops the database.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        self.database.close().await;
        drop_database(&self.server).await
    }

    /// Runs the program that handles one order at a time, with five commits each; orders per second.
    ///
    /// # Errors
    /// pgbench fails.
    pub(crate) async fn run_unbatched(&self, seconds: u64) -> anyhow::Result<f64> {
        let before = self.paid().await?;
        let outcome = pgbench::run(&self.pgbench, &self.url, UNBATCHED, UNBATCHED_CLIENTS, seconds)?;
        let paid = self.paid().await? - before;
        ensure!(
            paid == outcome.transactions && paid > 0,
            "the unbatched program placed {} orders, but {paid} were paid",
            outcome.transactions
        );
        Ok(outcome.per_second)
    }

    fn pgbench(&self, seconds: u64) -> anyhow::Result<Outcome> {
        pgbench::run(&self.pgbench, &self.url, SCRIPT, CLIENTS, seconds)
    }

    fn cpu_us(&self) -> anyhow::Result<u64> {
        Ok(cpu::used_us(std::slice::from_ref(&self.postgres))?.iter().sum())
    }

    /// Orders that are paid, by each of the three commits.
    async fn paid(&self) -> anyhow::Result<u64> {
        let row = sqlx::query(
            "select (select count(*) from orders where status = 'FINISHED'), (select count(*) from payment_attempts),
                    (select sum(version)::bigint from accounts)",
        )
        .fetch_one(&self.database)
        .await?;
        let [finished, attempted, debited]: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
        ensure!(
            finished == attempted && attempted == debited,
            "the limit program's books differ: {finished} finished, {attempted} attempted, {debited} debited"
        );
        Ok(u64::try_from(finished)?)
    }
}

async fn drop_database(server: &PgPool) -> anyhow::Result<()> {
    let drop = "drop database if exists load_limit with (force)";
    sqlx::query(drop).execute(server).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unbatched_program_is_one_order_in_five_commits() {
        let code: String = UNBATCHED.lines().filter(|line| !line.starts_with("--")).collect();
        assert_eq!(code.matches(';').count(), 5);
        assert!(!UNBATCHED.contains("generate_series"));
    }

    #[test]
    fn a_transaction_is_a_hundred_orders_in_three_statements() {
        let series = format!("generate_series(1, {ORDERS_PER_TRANSACTION})");
        assert_eq!(SCRIPT.matches("generate_series").count(), 3);
        assert_eq!(SCRIPT.matches(&series).count(), 3);
        let code: String = SCRIPT.lines().filter(|line| !line.starts_with("--")).collect();
        assert_eq!(code.matches(';').count() + code.matches("\\gset").count(), 3);
    }
}
