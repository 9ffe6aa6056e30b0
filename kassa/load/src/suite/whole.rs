//! P4: the whole flow, from POST at the gateway to a visible end, beside what Postgres alone can do.

use super::{Bar, Bench, Row};
use crate::figures::{Pair, Summary};
use crate::{print_all, report, say};

const NAME: &str = "whole";

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let mut pairs = Vec::new();
    let mut unbatched = Vec::new();
    for number in 1..=bench.args.pairs {
        pairs.push(pair(bench, number).await?);
        bench.limit.vacuum().await?;
        bench.server.settle().await?;
        unbatched.push(bench.limit.run_unbatched(bench.args.seconds).await?);
    }
    if let Some(summary) = Summary::of(&pairs) {
        println!("\n{}", report::table(&pairs, &summary));
        print_all(&report::remarks(&pairs, &summary));
        bench.maximum = Some(summary.completed_per_second);
    }
    let of = |figure: fn(&Pair) -> f64| pairs.iter().map(figure).collect::<Vec<_>>();
    let completed = of(|pair| pair.system.rates.completed_per_second);
    let over_unbatched = completed.iter().zip(&unbatched).map(|(ours, theirs)| ours / theirs);
    let over_unbatched = over_unbatched.collect();
    let mut rows = vec![
        Row::new(
            NAME,
            "limit L(100)",
            "orders/s",
            of(|pair| pair.limit.orders_per_second),
        ),
        Row::new(NAME, "five commits per order, 16 clients", "orders/s", unbatched),
        Row::new(NAME, "whole flow through the gateway", "orders/s", completed),
        Row::new(NAME, "over the limit", "", of(Pair::ratio)).with_bar(Bar::AtLeast(0.2, 0.3)),
        Row::new(NAME, "over five commits per order", "×", over_unbatched).with_bar(Bar::AtLeast(3.0, 5.0)),
        Row::new(NAME, "CPU per order", "µs", of(|pair| pair.system.cpu_us_per_order)),
        Row::new(NAME, "CPU over the limit's", "×", of(Pair::cpu_ratio)).with_bar(Bar::AtMost(4.0, 3.0)),
        Row::new(
            NAME,
            "backlog at the end",
            "s",
            of(|pair| pair.system.rates.backlog_seconds),
        )
        .with_bar(Bar::AtMost(1.0, 1.0)),
        Row::new(
            NAME,
            "WAL per order",
            "bytes",
            of(|pair| pair.system.wal_bytes_per_order),
        ),
    ];
    let names = pairs
        .first()
        .map(|pair| pair.system.cpu_us_per_order_of.keys().cloned());
    for name in names.into_iter().flatten() {
        let shares = pairs
            .iter()
            .filter_map(|pair| pair.system.cpu_us_per_order_of.get(&name).copied());
        rows.push(Row::new(NAME, format!("of it: {name}"), "µs", shares.collect()));
    }
    Ok(rows)
}

/// One run of each, from the same start: no vacuum due, right after a checkpoint.
async fn pair(bench: &Bench<'_>, number: u64) -> anyhow::Result<Pair> {
    let (of, seconds) = (bench.args.pairs, bench.args.seconds);
    say(&format!("pair {number} of {of}: the limit of Postgres, {seconds} s"));
    bench.limit.vacuum().await?;
    bench.server.settle().await?;
    let limit = bench.limit.run(seconds).await?;
    let rate = limit.orders_per_second;
    say(&format!(
        "pair {number} of {of}: limit {rate:.0}/s; the platform, {seconds} s"
    ));
    bench.server.settle().await?;
    let system = bench.system.run(&bench.closed_loop()).await?;
    let rate = system.rates.completed_per_second;
    let pair = Pair { limit, system };
    let ratio = pair.ratio();
    say(&format!(
        "pair {number} of {of}: platform {rate:.0}/s, ratio {ratio:.3}"
    ));
    Ok(pair)
}
