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
                runtime.block_on(super::$name(streams::MemoryBackend::default()));
            })*
        }
        mod postgres {
            $(#[test] fn $name() {
                let database = streams::testing::TestDatabase::create(&[]);
                database.block_on(super::$name(streams::PgBackend::new(database.pool().clone())));
            })*
        }
    };
}
pub(crate) use on_both;
