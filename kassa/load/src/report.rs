//! How pairs of runs are printed.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::figures::{Pair, Summary, median};

/// More work than this left at the end means that more was accepted than could be done.
const BACKLOG_MAX_SECONDS: f64 = 1.0;

const HEADER: [&str; 11] = [
    "pair",
    "limit/s",
    "platform/s",
    "ratio",
    "limit µs",
    "platform µs",
    "× µs",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "backlog s",
];

/// A row per pair, and the median.
pub(crate) fn table(pairs: &[Pair], median: &Summary) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(HEADER);
    for (pair, number) in pairs.iter().zip(1..) {
        if let Some(summary) = Summary::of(std::slice::from_ref(pair)) {
            table.add_row(row(&format!("{number}"), &summary));
        }
    }
    table.add_row(row("median", median));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(title: &str, figures: &Summary) -> [String; 11] {
    [
        title.to_owned(),
        format!("{:.0}", figures.limit_per_second),
        format!("{:.0}", figures.completed_per_second),
        format!("{:.3}", figures.ratio),
        format!("{:.0}", figures.limit_cpu_us_per_order),
        format!("{:.0}", figures.cpu_us_per_order),
        format!("{:.2}", figures.cpu_ratio),
        format!("{:.1}", figures.latency.p50_ms),
        format!("{:.1}", figures.latency.p95_ms),
        format!("{:.1}", figures.latency.p99_ms),
        format!("{:.2}", figures.backlog_seconds),
    ]
}

/// How to read the table, and what is wrong with a pair.
pub(crate) fn remarks(pairs: &[Pair], summary: &Summary) -> Vec<String> {
    let generator = pairs.iter().map(|pair| pair.system.generator_us_per_order);
    let generator = median(generator.collect()).unwrap_or_default();
    let ratio = summary.ratio;
    let mut lines = vec![
        format!("orders/s to a terminal status over the limit of Postgres, median of pairs: {ratio:.3}"),
        format!("CPU µs per order, median: {}", by_process(pairs)),
        format!("not in it: the load generator's {generator:.1}"),
    ];
    for (pair, number) in pairs.iter().zip(1..) {
        let (rates, orders) = (&pair.system.rates, pair.system.orders);
        if rates.backlog_seconds >= BACKLOG_MAX_SECONDS {
            lines.push(format!(
                "pair {number} is not sustained: {:.0}/s were accepted, and {:.1} s of work were left at the end; all \
                 {orders} orders to the last terminal one: {:.0}/s",
                rates.accepted_per_second, rates.backlog_seconds, rates.to_the_end_per_second
            ));
        }
        for (status, times) in &pair.system.refused {
            lines.push(format!("pair {number}: {times} requests were answered {status}"));
        }
    }
    lines
}

/// The median share of each process, the dearest first.
fn by_process(pairs: &[Pair]) -> String {
    let names = pairs.first().map(|pair| pair.system.cpu_us_per_order_of.keys());
    let share = |name: &String| {
        let of_pair = |pair: &Pair| pair.system.cpu_us_per_order_of.get(name).copied();
        (
            name.clone(),
            median(pairs.iter().filter_map(of_pair).collect()).unwrap_or_default(),
        )
    };
    let mut shares: Vec<(String, f64)> = names.into_iter().flatten().map(share).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let texts: Vec<String> = shares.into_iter().map(|(name, us)| format!("{name} {us:.0}")).collect();
    texts.join(" · ")
}

#[cfg(test)]
mod tests;
