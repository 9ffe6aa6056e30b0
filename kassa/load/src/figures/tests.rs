//! Figures from known numbers.

use super::*;

fn count(at: f64, placed: u64, terminal: u64) -> Count {
    Count {
        at,
        placed,
        terminal,
        last_change: at,
    }
}

/// A pair with a limit of `limit` per second and a platform of `completed` per second.
pub(crate) fn pair(limit: f64, completed: f64) -> Pair {
    let rates = Rates {
        completed_per_second: completed,
        accepted_per_second: completed,
        to_the_end_per_second: completed,
        backlog_seconds: 0.1,
    };
    Pair {
        limit: LimitRun {
            orders_per_second: limit,
            cpu_us_per_order: 60.0,
        },
        system: SystemRun {
            rates,
            orders: 1_000,
            refused: BTreeMap::new(),
            latency: Latency::of(vec![8_000]),
            cpu_us_per_order: 210.0,
            cpu_us_per_order_of: [("gateway".to_owned(), 30.0), ("postgres".to_owned(), 180.0)].into(),
            wal_bytes_per_order: 3_000.0,
            generator_us_per_order: 9.0,
        },
    }
}

#[test]
fn the_median_is_the_middle_or_between_the_middle_two() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(median(Vec::new()), None);
}

#[test]
fn percentiles_are_values_that_were_measured() {
    let values: Vec<u32> = (1..=200).collect();
    assert_eq!(percentile(&values, 50), 100);
    assert_eq!(percentile(&values, 99), 198);
    assert_eq!(percentile(&[7], 99), 7);
    assert_eq!(percentile(&[], 50), 0);
}

#[test]
fn latencies_are_milliseconds_whatever_their_order() {
    let latency = Latency::of(vec![3_000, 1_000, 2_000]);
    let expected = Latency {
        p50_ms: 2.0,
        p95_ms: 3.0,
        p99_ms: 3.0,
    };
    assert_eq!(latency, expected);
}

#[test]
fn only_what_became_terminal_in_the_window_counts() {
    let before = count(100.0, 0, 0);
    let (first, last) = (count(102.0, 10_000, 9_000), count(112.0, 60_000, 49_000));
    let end = count(118.0, 60_000, 60_000);
    let rates = Rates::between(&before, &first, &last, &end);
    assert_eq!(rates.completed_per_second, 4_000.0);
    assert_eq!(rates.accepted_per_second, 5_000.0);
    assert_eq!(rates.backlog_seconds, 11_000.0 / 4_000.0);
    assert_eq!(rates.to_the_end_per_second, 60_000.0 / 18.0);
}

#[test]
fn a_platform_that_completes_nothing_has_an_endless_backlog() {
    let (first, last) = (count(1.0, 10, 0), count(2.0, 20, 0));
    let rates = Rates::between(&count(0.0, 0, 0), &first, &last, &count(3.0, 20, 20));
    assert_eq!(rates.completed_per_second, 0.0);
    assert!(rates.backlog_seconds.is_infinite());
}

#[test]
fn the_ratio_is_the_median_of_ratios_and_not_the_ratio_of_medians() {
    let pairs = [
        pair(20_000.0, 4_000.0),
        pair(10_000.0, 3_000.0),
        pair(30_000.0, 3_000.0),
    ];
    let summary = Summary::of(&pairs).expect("pairs");
    assert_eq!(summary.ratio, 0.2);
    assert_eq!(summary.limit_per_second, 20_000.0);
    assert_eq!(summary.completed_per_second, 3_000.0);
    assert_eq!(summary.cpu_ratio, 3.5);
    assert_eq!(Summary::of(&[]), None);
}
