//! A database of its own for a test, on the server that `DATABASE_URL` names.

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// A migrated database that is dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    server: PgConnectOptions,
    name: String,
    pool: PgPool,
    runtime: Runtime,
}

impl TestDatabase {
    /// Creates a database and runs the library's migrations, then `migrators`.
    ///
    /// # Panics
    /// If `DATABASE_URL` is not set or its server does not answer: a store test without a database would prove nothing.
    #[must_use]
    pub fn create(migrators: &[&Migrator]) -> Self {
        let url = std::env::var("DATABASE_URL").expect(
            "store tests need a Postgres server: run `cargo kassa test`, or set DATABASE_URL to a superuser's URL",
        );
        let server: PgConnectOptions = url.parse().expect("DATABASE_URL is a postgres:// URL");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let pool = runtime.block_on(async {
            let mut admin = server.connect().await.expect("the server of DATABASE_URL answers");
            execute(&mut admin, format!("create database {name}")).await;
            admin.close().await.expect("closed");
            let pool = PgPoolOptions::new()
                .max_connections(8)
                .connect_with(server.clone().database(&name))
                .await;
            let pool = pool.expect("the new database answers");
            crate::backend::migrate_library(&pool)
                .await
                .expect("the library's migrations run");
            for migrator in migrators {
                migrator.run(&pool).await.expect("the service's migrations run");
            }
            pool
        });
        Self {
            server,
            name,
            pool,
            runtime,
        }
    }

    /// Connections to the database, as its owner.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Connections to the database as another user.
    #[must_use]
    pub fn pool_as(&self, user: &str, password: &str) -> PgPool {
        let options = self
            .server
            .clone()
            .database(&self.name)
            .username(user)
            .password(password);
        let _guard = self.runtime.enter();
        PgPoolOptions::new().max_connections(2).connect_lazy_with(options)
    }

    /// Runs a future to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            self.pool.close().await;
            if let Ok(mut admin) = self.server.connect().await {
                execute(
                    &mut admin,
                    format!("drop database if exists {} with (force)", self.name),
                )
                .await;
            }
        });
    }
}

async fn execute(connection: &mut PgConnection, statement: String) {
    // Only names that this file makes up are in it.
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(connection)
        .await
        .expect("the statement runs");
}
