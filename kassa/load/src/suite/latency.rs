//! P5 and P6: from the moment at which an order was due to the answer that shows its end, open loop.

use std::time::Duration;

use anyhow::ensure;

use super::{Bar, Bench, Row, plot::Point};
use crate::figures::Latency;
use crate::open_loop::{self, Arrivals, Outcome};
use crate::say;

const NAME: &str = "latency";
/// Few orders on a quiet platform.
const QUIET_PER_SECOND: f64 = 50.0;
/// Parts of the maximum; the one that the bar is about is 0.5.
const PARTS: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];
const QUICK_PARTS: [f64; 1] = [0.5];

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let maximum = bench.maximum().await?;
    let quiet = at(bench, QUIET_PER_SECOND).await?;
    let mut rows = vec![
        Row::new(NAME, "50/s: POST to end, p50", "ms", vec![quiet.p50_ms]).with_bar(Bar::AtMost(15.0, 8.0)),
        Row::new(NAME, "50/s: POST to end, p99", "ms", vec![quiet.p99_ms]).with_bar(Bar::AtMost(60.0, 30.0)),
    ];
    let parts: &[f64] = if bench.args.quick { &QUICK_PARTS } else { &PARTS };
    for part in parts {
        let latency = at(bench, part * maximum).await?;
        let what = |percentile| format!("{:.0} % of the maximum: POST to end, {percentile}", part * 100.0);
        let p50 = Row::new(NAME, what("p50"), "ms", vec![latency.p50_ms]);
        let p99 = Row::new(NAME, what("p99"), "ms", vec![latency.p99_ms]);
        rows.extend(if *part == 0.5 {
            [
                p50.with_bar(Bar::AtMost(60.0, 25.0)),
                p99.with_bar(Bar::AtMost(250.0, 100.0)),
            ]
        } else {
            [p50, p99]
        });
    }
    Ok(rows)
}

async fn at(bench: &mut Bench<'_>, per_second: f64) -> anyhow::Result<Latency> {
    bench.server.settle().await?;
    let outcome = open_loop::run(&Arrivals {
        url: bench.args.gateway().to_owned(),
        users: bench.users.clone(),
        per_second,
        warm_up: Duration::from_secs(2),
        // Enough for a p99 that some requests stand behind.
        time: Duration::from_secs(bench.args.seconds.max(10)),
        until_closed: true,
    })
    .await?;
    all_closed(&outcome, per_second)?;
    let latency = Latency::of(outcome.good_us);
    say(&format!(
        "{per_second:.0}/s: POST to end p50 {:.1} ms, p99 {:.1} ms",
        latency.p50_ms, latency.p99_ms
    ));
    bench.points.push(Point {
        x: per_second,
        y: latency.p99_ms,
        low: Some(latency.p50_ms),
    });
    Ok(latency)
}

/// A rate below the maximum is no overload: every order has to come to its end.
fn all_closed(outcome: &Outcome, per_second: f64) -> anyhow::Result<()> {
    let bad = outcome.refused_us.len() as u64 + outcome.others.values().sum::<u64>() + outcome.broken + outcome.unsent;
    ensure!(
        bad == 0,
        "at {per_second:.0}/s {bad} orders were not closed: {} refused, {} unsent, {} connections broken, others {:?}",
        outcome.refused_us.len(),
        outcome.unsent,
        outcome.broken,
        outcome.others
    );
    Ok(())
}
