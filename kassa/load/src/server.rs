//! The Postgres server that both the platform and the limit program run on.

use anyhow::{Context as _, bail};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Row as _};

use crate::args::Platform;

/// What must be on, or an answered order could be lost and the figure would be one of another system.
const PROMISES: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];
/// What else makes a difference, for the record.
const CONDITIONS: [&str; 5] = [
    "server_version",
    "shared_buffers",
    "max_wal_size",
    "wal_compression",
    "data_checksums",
];

/// A pool for few and short questions; the audit asks three at a time.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn pool(url: &str) -> anyhow::Result<PgPool> {
    let options = PgPoolOptions::new().max_connections(4).test_before_acquire(false);
    options.connect(url).await.context("could not connect to Postgres")
}

/// The server, as its superuser.
#[derive(Debug)]
pub(crate) struct Server {
    pool: PgPool,
    databases: [PgPool; 2],
}

impl Server {
    /// Connects to the server and to the platform's databases on it.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn connect(platform: &Platform) -> anyhow::Result<Self> {
        Ok(Self {
            pool: pool(&platform.server).await?,
            databases: [pool(&platform.orders).await?, pool(&platform.payments).await?],
        })
    }

    /// Reads back what the server promises about commits, and what else shapes a figure; as `name = value`.
    ///
    /// # Errors
    /// It does not keep what it commits, or does not for somebody.
    pub(crate) async fn promises(&self) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        for name in PROMISES.iter().chain(&CONDITIONS) {
            let value: String = sqlx::query_scalar("select current_setting($1)")
                .bind(name)
                .fetch_one(&self.pool)
                .await
                .with_context(|| format!("could not read {name}"))?;
            if PROMISES.contains(name) && value != "on" {
                bail!("{name} is {value}: commits would not be durable");
            }
            lines.push(format!("{name} = {value}"));
        }
        self.refuse_exceptions().await?;
        Ok(lines)
    }

    /// A setting can be another one for a role or in a database.
    async fn refuse_exceptions(&self) -> anyhow::Result<()> {
        let exceptions = sqlx::query(
            "select coalesce(datname, '(all)'), coalesce(rolname, '(all)'), setting
               from pg_db_role_setting s
               left join pg_database d on d.oid = s.setdatabase
               left join pg_roles r on r.oid = s.setrole
              cross join unnest(setconfig) setting
              where split_part(setting, '=', 1) = any($1) and setting not like '%=on'",
        )
        .bind(PROMISES.map(str::to_owned).to_vec())
        .fetch_all(&self.pool)
        .await?;
        if let Some(row) = exceptions.first() {
            let (database, role, setting): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            bail!("{setting} for role {role} in database {database}: commits would not be durable");
        }
        Ok(())
    }

    /// Pays off what earlier runs have left to do, so that no run does another one's work: dead rows go, and the
    /// next page that anybody changes is written whole.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        for database in &self.databases {
            vacuum(database).await?;
        }
        sqlx::query("checkpoint").execute(&self.pool).await?;
        Ok(())
    }
}

/// Vacuums and analyses a database.
///
/// # Errors
/// It does not answer.
pub(crate) async fn vacuum(database: &PgPool) -> anyhow::Result<()> {
    sqlx::query("vacuum (analyze)").execute(database).await?;
    Ok(())
}
