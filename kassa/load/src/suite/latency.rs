//! P5 and P6: from the moment at which an order was due to the answer that shows its end, open loop.

use std::time::Duration;

use anyhow::ensure;

use super::{Bar, Bench, Row, plot::Point};
use crate::books::{STAGES, lowest_id_from_now};
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
    let mut rows = at(bench, "50/s", QUIET_PER_SECOND, Some(QUIET_BARS)).await?;
    let parts: &[f64] = if bench.args.quick { &QUICK_PARTS } else { &PARTS };
    for part in parts {
        let what = format!("{:.0} % of the maximum", part * 100.0);
        let bars = (*part == 0.5).then_some(HALF_BARS);
        rows.extend(at(bench, &what, part * maximum, bars).await?);
    }
    Ok(rows)
}

/// Of p50 and p99, in ms.
const QUIET_BARS: [Bar; 2] = [Bar::AtMost(15.0, 8.0), Bar::AtMost(60.0, 30.0)];
const HALF_BARS: [Bar; 2] = [Bar::AtMost(60.0, 25.0), Bar::AtMost(250.0, 100.0)];

async fn at(bench: &mut Bench<'_>, what: &str, per_second: f64, bars: Option<[Bar; 2]>) -> anyhow::Result<Vec<Row>> {
    bench.server.settle().await?;
    let (since, cpu_before) = (lowest_id_from_now(), bench.system.cpu_us()?);
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
    let used = bench.system.cpu_us()?.since(&cpu_before);
    let placed = bench.system.books.count(since).await?.placed;
    bench.system.drain(since, placed).await?;
    let open = not_closed(&outcome);
    if open > 0 {
        // An answer that waits costs more than one that does not, so near the maximum there may be no such rate.
        ensure!(bars.is_none(), "at {per_second:.0}/s {open} orders were not closed");
        say(&format!(
            "{per_second:.0}/s is too much: {open} orders were not closed in time: {} refused, {} not sent, {} broken, \
             others {:?}",
            outcome.refused_us.len(),
            outcome.unsent,
            outcome.broken,
            outcome.others
        ));
        return Ok(vec![Row::new(
            NAME,
            format!("{what}: not closed in time"),
            "orders",
            vec![open as f64],
        )]);
    }
    let latency = Latency::of(outcome.good_us);
    let stages = bench.system.books.stages(since).await?;
    let cpu_us = used.sum() as f64 / placed as f64;
    let shares = bench.system.processes().iter().zip(&used.0);
    let shares: Vec<String> = shares
        .map(|(process, us)| format!("{} {}", process.name, us / placed.max(1)))
        .collect();
    say(&format!(
        "{per_second:.0}/s: POST to end p50 {:.1} ms, p99 {:.1} ms; by stage {stages:.1?} ms; {cpu_us:.0} µs of CPU",
        latency.p50_ms, latency.p99_ms
    ));
    say(&format!("µs by process: {}", shares.join(" · ")));
    bench.points.push(Point {
        x: per_second,
        y: latency.p99_ms,
        low: Some(latency.p50_ms),
    });
    let mut rows = vec![
        Row::new(NAME, format!("{what}: POST to end, p50"), "ms", vec![latency.p50_ms]),
        Row::new(NAME, format!("{what}: POST to end, p99"), "ms", vec![latency.p99_ms]),
    ];
    for (row, bar) in rows.iter_mut().zip(bars.into_iter().flatten()) {
        row.bar = Some(bar);
    }
    for (stage, ms) in STAGES.iter().zip(stages) {
        rows.push(Row::new(NAME, format!("{what}: {stage}, p50"), "ms", vec![ms]));
    }
    rows.push(Row::new(NAME, format!("{what}: CPU per order"), "µs", vec![cpu_us]));
    Ok(rows)
}

/// A rate below the maximum is no overload: every order should come to its end.
fn not_closed(outcome: &Outcome) -> u64 {
    outcome.refused_us.len() as u64 + outcome.others.values().sum::<u64>() + outcome.broken + outcome.unsent
}
