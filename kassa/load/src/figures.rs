//! Figures: what a run gives, percentiles, medians, ratios.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::books::Count;

/// What the limit program gave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LimitRun {
    pub(crate) orders_per_second: f64,
    /// Of Postgres alone.
    pub(crate) cpu_us_per_order: f64,
}

/// What the platform gave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SystemRun {
    #[serde(flatten)]
    pub(crate) rates: Rates,
    /// Orders of the whole run, warm-up included; all are terminal.
    pub(crate) orders: u64,
    /// Answers other than 201, by status.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// Of POST /orders in the measured window.
    pub(crate) latency: Latency,
    /// Of all processes, from the first order to the last terminal one, whatever they did it for.
    pub(crate) cpu_us_per_order: f64,
    /// The same by process.
    pub(crate) cpu_us_per_order_of: BTreeMap<String, f64>,
    /// Written ahead by Postgres from the first order to the last terminal one.
    pub(crate) wal_bytes_per_order: f64,
    /// Of this program; not part of the platform's.
    pub(crate) generator_us_per_order: f64,
}

/// Orders per second, and what was left over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Rates {
    /// Orders that became visibly terminal in the measured window.
    pub(crate) completed_per_second: f64,
    /// Orders that were committed in it.
    pub(crate) accepted_per_second: f64,
    /// All orders, from the first to the last terminal one: what is left if a backlog is worked off.
    pub(crate) to_the_end_per_second: f64,
    /// How long the orders that were not terminal at the window's end take at the rate of the window.
    pub(crate) backlog_seconds: f64,
}

impl Rates {
    /// From counts before the run, at the window's start, at its end, and after the last order.
    pub(crate) fn between(before: &Count, first: &Count, last: &Count, end: &Count) -> Self {
        let seconds = last.at - first.at;
        let completed_per_second = per(last.terminal - first.terminal, seconds);
        Self {
            completed_per_second,
            accepted_per_second: per(last.placed - first.placed, seconds),
            to_the_end_per_second: per(end.terminal, end.last_change - before.at),
            backlog_seconds: per(last.placed - last.terminal, completed_per_second),
        }
    }
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Latency {
    /// Of latencies in µs, in any order.
    pub(crate) fn of(mut latencies_us: Vec<u32>) -> Self {
        latencies_us.sort_unstable();
        let ms = |percent| f64::from(percentile(&latencies_us, percent)) / 1_000.0;
        Self {
            p50_ms: ms(50),
            p95_ms: ms(95),
            p99_ms: ms(99),
        }
    }
}

/// One run of each, back to back.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) limit: LimitRun,
    pub(crate) system: SystemRun,
}

impl Pair {
    /// Orders per second of the platform over those of the limit.
    pub(crate) fn ratio(&self) -> f64 {
        self.system.rates.completed_per_second / self.limit.orders_per_second
    }

    /// CPU per order of the platform over that of the limit.
    pub(crate) fn cpu_ratio(&self) -> f64 {
        self.system.cpu_us_per_order / self.limit.cpu_us_per_order
    }
}

/// The figures of a pair, or the median of each over all pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) limit_per_second: f64,
    pub(crate) completed_per_second: f64,
    pub(crate) ratio: f64,
    pub(crate) limit_cpu_us_per_order: f64,
    pub(crate) cpu_us_per_order: f64,
    pub(crate) cpu_ratio: f64,
    #[serde(flatten)]
    pub(crate) latency: Latency,
    pub(crate) backlog_seconds: f64,
}

impl Summary {
    /// The median of each figure; `None` if there is no pair.
    pub(crate) fn of(pairs: &[Pair]) -> Option<Self> {
        let median = |figure: fn(&Pair) -> f64| median(pairs.iter().map(figure).collect());
        Some(Self {
            limit_per_second: median(|pair| pair.limit.orders_per_second)?,
            completed_per_second: median(|pair| pair.system.rates.completed_per_second)?,
            ratio: median(Pair::ratio)?,
            limit_cpu_us_per_order: median(|pair| pair.limit.cpu_us_per_order)?,
            cpu_us_per_order: median(|pair| pair.system.cpu_us_per_order)?,
            cpu_ratio: median(Pair::cpu_ratio)?,
            latency: Latency {
                p50_ms: median(|pair| pair.system.latency.p50_ms)?,
                p95_ms: median(|pair| pair.system.latency.p95_ms)?,
                p99_ms: median(|pair| pair.system.latency.p99_ms)?,
            },
            backlog_seconds: median(|pair| pair.system.rates.backlog_seconds)?,
        })
    }
}

/// `amount` per unit of `divisor`; 0 of nothing.
pub(crate) fn per(amount: u64, divisor: f64) -> f64 {
    if amount == 0 { 0.0 } else { amount as f64 / divisor }
}

/// The middle value, or the mean of the middle two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[middle - 1], upper))
}

/// The smallest value that at least `percent` of all are not above; 0 if there is none.
fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests;
