//! The report of known figures.

use super::*;
use crate::figures::tests::pair;

fn pairs() -> Vec<Pair> {
    vec![
        pair(20_000.0, 4_000.0),
        pair(25_000.0, 6_000.0),
        pair(24_000.0, 5_000.0),
    ]
}

#[test]
fn the_table_has_a_row_per_pair_and_the_median() {
    let pairs = pairs();
    let summary = Summary::of(&pairs).expect("pairs");
    let text = table(&pairs, &summary).to_string();
    let cells: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with('│'))
        .map(|line| line.trim_matches('│').split('┆').map(str::trim).collect())
        .collect();
    assert_eq!(cells[0], HEADER);
    assert_eq!(
        cells[1],
        [
            "1", "20000", "4000", "0.200", "60", "210", "3.50", "8.0", "8.0", "8.0", "0.10"
        ]
    );
    assert_eq!(cells[4][..4], ["median", "24000", "5000", "0.208"]);
    assert_eq!(cells.len(), 5);
}

#[test]
fn a_sound_bench_needs_no_excuse() {
    let pairs = pairs();
    let summary = Summary::of(&pairs).expect("pairs");
    let lines = remarks(&pairs, &summary);
    assert_eq!(
        lines,
        [
            "orders/s to a terminal status over the limit of Postgres, median of pairs: 0.208",
            "CPU µs per order, median: postgres 180 · gateway 30",
            "not in it: the load generator's 9.0",
        ]
    );
}

#[test]
fn a_backlog_and_refusals_are_told() {
    let mut pairs = pairs();
    pairs[1].system.rates.backlog_seconds = 2.34;
    pairs[1].system.rates.to_the_end_per_second = 5_500.0;
    pairs[2].system.refused = [(503, 12)].into();
    let summary = Summary::of(&pairs).expect("pairs");
    assert_eq!(
        remarks(&pairs, &summary)[3..],
        [
            "pair 2 is not sustained: 6000/s were accepted, and 2.3 s of work were left at the end; all 1000 orders to \
             the last terminal one: 5500/s",
            "pair 3: 12 requests were answered 503",
        ]
    );
}
