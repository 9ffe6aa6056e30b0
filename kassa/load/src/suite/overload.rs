//! P12: three times as many orders as can be done, for a while; then a quiet platform again.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::{Bar, Bench, Row};
use crate::books::lowest_id_from_now;
use crate::figures::Latency;
use crate::open_loop::{self, Arrivals, Outcome};
use crate::say;

const NAME: &str = "overload";
const TIMES: f64 = 3.0;
/// Back to normal is: orders at 50/s come to their end as fast as before, give or take this.
const NORMAL_FACTOR: f64 = 2.0;
const NORMAL_MARGIN_MS: f64 = 10.0;
const LOOK_PER_SECOND: f64 = 50.0;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let maximum = bench.maximum().await?;
    bench.server.settle().await?;
    let before = quiet(bench, Duration::from_secs(3)).await?;
    let seconds = if bench.args.quick { 10 } else { 60 };
    say(&format!("{:.0}/s for {seconds} s", TIMES * maximum));
    let since = lowest_id_from_now();
    let warm_up = Duration::from_secs(5);
    let arrivals = Arrivals {
        url: bench.args.gateway().to_owned(),
        users: bench.users.clone(),
        per_second: TIMES * maximum,
        warm_up,
        time: Duration::from_secs(seconds),
        until_closed: false,
    };
    let counts = async {
        tokio::time::sleep(warm_up).await;
        let first = bench.system.books.count(since).await?;
        tokio::time::sleep(arrivals.time).await;
        anyhow::Ok((first, bench.system.books.count(since).await?))
    };
    let (outcome, counts) = tokio::join!(open_loop::run(&arrivals), counts);
    let (outcome, (first, last)) = (outcome?, counts?);
    let ended = Instant::now();
    check(&outcome)?;
    let goodput = (last.terminal - first.terminal) as f64 / (last.at - first.at);
    let recovered = back_to_normal(bench, &before, ended).await?;
    let placed = bench.system.books.count(since).await?.placed;
    bench.system.drain(since, placed).await?;
    let refusals = Latency::of(outcome.refused_us.clone());
    say(&format!(
        "closed {goodput:.0}/s, refused {} with p99 {:.1} ms, normal again after {recovered:.1} s",
        outcome.refused_us.len(),
        refusals.p99_ms
    ));
    Ok(vec![
        Row::new(NAME, "orders closed, over the maximum", "×", vec![goodput / maximum])
            .with_bar(Bar::AtLeast(0.9, 0.95)),
        Row::new(NAME, "refusals, p99", "ms", vec![refusals.p99_ms]).with_bar(Bar::AtMost(50.0, 50.0)),
        Row::new(
            NAME,
            "refused, of all that were sent",
            "%",
            vec![share(&outcome) * 100.0],
        ),
        // More than so many are never under way: clients that get no answer do not go on asking for ever.
        Row::new(NAME, "due, and not sent", "orders", vec![outcome.unsent as f64]),
        Row::new(NAME, "normal again after", "s", vec![recovered]).with_bar(Bar::AtMost(10.0, 5.0)),
    ])
}

/// Refusing is right; refusing without saying when to come again, and breaking connections, is not.
fn check(outcome: &Outcome) -> anyhow::Result<()> {
    ensure!(
        outcome.without_retry_after == 0,
        "{} refusals had no Retry-After",
        outcome.without_retry_after
    );
    outcome.check_connections()?;
    ensure!(
        outcome.others.is_empty(),
        "there were other answers: {:?}",
        outcome.others
    );
    Ok(())
}

fn share(outcome: &Outcome) -> f64 {
    let refused = outcome.refused_us.len() as f64;
    refused / (refused + outcome.good_us.len() as f64).max(1.0)
}

async fn quiet(bench: &Bench<'_>, time: Duration) -> anyhow::Result<Latency> {
    let arrivals = Arrivals {
        url: bench.args.gateway().to_owned(),
        users: bench.users.clone(),
        per_second: LOOK_PER_SECOND,
        warm_up: Duration::ZERO,
        time,
        until_closed: true,
    };
    Ok(Latency::of(open_loop::run(&arrivals).await?.good_us))
}

/// Seconds from the end of the load.
async fn back_to_normal(bench: &Bench<'_>, before: &Latency, ended: Instant) -> anyhow::Result<f64> {
    let normal = before.p50_ms * NORMAL_FACTOR + NORMAL_MARGIN_MS;
    loop {
        let started = ended.elapsed();
        let now = quiet(bench, Duration::from_secs(1)).await?;
        if now.p50_ms > 0.0 && now.p50_ms <= normal {
            return Ok(started.as_secs_f64());
        }
        ensure!(
            ended.elapsed() < PATIENCE,
            "orders still take {:.0} ms, {PATIENCE:?} after the load; before it they took {:.0} ms",
            now.p50_ms,
            before.p50_ms
        );
    }
}
