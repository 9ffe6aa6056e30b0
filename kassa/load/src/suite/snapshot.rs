//! P10: somebody holds a snapshot open in both databases, as a long report or a stuck session does.

use sqlx::{PgPool, Postgres, Transaction};

use super::{Bar, Bench, Row};
use crate::say;

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let mut slower = Vec::new();
    for _ in 0..bench.args.pairs {
        let free = completed(bench).await?;
        let held = [
            hold(bench.system.books.orders()).await?,
            hold(bench.system.books.payments()).await?,
        ];
        let beside = completed(bench).await?;
        for snapshot in held {
            snapshot.rollback().await?;
        }
        say(&format!("without a snapshot {free:.0}/s, beside one {beside:.0}/s"));
        slower.push((1.0 - beside / free) * 100.0);
    }
    let row = Row::new("snapshot", "slower beside a held snapshot", "%", slower);
    Ok(vec![row.with_bar(Bar::AtMost(5.0, 0.0))])
}

/// Its first statement takes the snapshot.
async fn hold(pool: &PgPool) -> anyhow::Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin_with("begin isolation level repeatable read").await?;
    sqlx::query("select 1").execute(&mut *tx).await?;
    Ok(tx)
}

async fn completed(bench: &Bench<'_>) -> anyhow::Result<f64> {
    bench.server.settle().await?;
    Ok(bench.system.run(&bench.closed_loop()).await?.rates.completed_per_second)
}
