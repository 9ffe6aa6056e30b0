//! Transactions that are open at the same time: the same scenarios in memory and on Postgres.

mod keys;
mod locks;
mod receiving;

/// Runs each scenario on a fresh database of each kind, as two tests.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                let scenario = super::$name(streams::MemoryBackend::default());
                runtime.block_on(crate::within_limit(scenario));
            })*
        }
        mod postgres {
            $(#[test] fn $name() {
                let database = streams::testing::TestDatabase::create(&[]);
                let scenario = super::$name(streams::PgBackend::new(database.pool().clone()));
                database.block_on(crate::within_limit(scenario));
            })*
        }
    };
}
pub(crate) use on_both;

/// Whoever waits for ever fails, and does not hang.
async fn within_limit(scenario: impl Future<Output = ()>) {
    let limit = std::time::Duration::from_secs(120);
    tokio::time::timeout(limit, scenario)
        .await
        .expect("nobody waits for ever");
}
