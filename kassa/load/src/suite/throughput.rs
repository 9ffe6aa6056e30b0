//! Orders per second to their end, and POST's median, against the number of connections.

use super::{Bench, Row, plot::Point};
use crate::say;
use crate::system::ClosedLoop;

const CONNECTIONS: [u16; 6] = [1, 4, 16, 64, 256, 1_024];

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        bench.server.settle().await?;
        let load = ClosedLoop {
            connections,
            ..bench.closed_loop()
        };
        let run = bench.system.run(&load).await?;
        let rate = run.rates.completed_per_second;
        let p50 = run.latency.p50_ms;
        say(&format!("{connections} connections: {rate:.0}/s, POST p50 {p50:.1} ms"));
        bench.points.push(Point {
            x: f64::from(connections),
            y: rate,
            low: None,
        });
        let what = format!("{connections} connections, POST p50 {p50:.1} ms");
        rows.push(Row::new("throughput", what, "orders/s", vec![rate]));
    }
    Ok(rows)
}
