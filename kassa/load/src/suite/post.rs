//! P1: POST /orders at the service itself, beside the same service in its mode of a commit per request. The processors
//! stand still meanwhile: it is the front that is measured, not what becomes of the orders.

use hyper::Uri;

use super::{Bar, Bench, Row};
use crate::figures::SystemRun;
use crate::say;
use crate::system::ClosedLoop;

const NAME: &str = "post";
const CONNECTIONS: u16 = 256;

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let (mut batched, mut single, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.args.pairs {
        let ours = run(bench, &bench.args.orders_api).await?.rates.accepted_per_second;
        batched.push(ours);
        if let Some(url) = &bench.args.unbatched_api {
            let theirs = run(bench, url).await?.rates.accepted_per_second;
            say(&format!(
                "POST /orders: in batches {ours:.0}/s, a commit each {theirs:.0}/s"
            ));
            single.push(theirs);
            ratio.push(ours / theirs);
        }
    }
    let mut rows = vec![Row::new(
        NAME,
        "POST /orders at the service, 256 connections",
        "orders/s",
        batched,
    )];
    if !single.is_empty() {
        rows.push(Row::new(NAME, "a commit per request", "orders/s", single));
        rows.push(Row::new(NAME, "in batches, over a commit per request", "×", ratio).with_bar(Bar::AtLeast(5.0, 6.0)));
    }
    Ok(rows)
}

/// The orders are worked off afterwards.
async fn run(bench: &Bench<'_>, url: &str) -> anyhow::Result<SystemRun> {
    url.parse::<Uri>()?;
    bench.server.settle().await?;
    let platform = &bench.args.platform;
    let paused = [
        platform.process("orders-processor")?.pid,
        platform.process("payments-processor")?.pid,
    ];
    let load = ClosedLoop {
        paused: paused.to_vec(),
        urls: vec![url.to_owned()],
        connections: CONNECTIONS,
        ..bench.closed_loop()
    };
    bench.system.run(&load).await
}
