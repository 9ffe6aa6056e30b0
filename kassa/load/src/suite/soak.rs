//! Growth: a steady load for a long time. Memory, open files and dead rows stay as they are, and tables grow by the order
//! and by nothing else.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use sqlx::{PgPool, Row as _};
use tokio::time::{Instant, sleep};

use super::footprint::{resident_mb, services};
use super::{Bar, Bench, Row};
use crate::books::lowest_id_from_now;
use crate::open_loop::{self, Arrivals};
use crate::say;

const NAME: &str = "soak";
const PART_OF_MAXIMUM: f64 = 0.7;
const LOOKS: u32 = 60;
/// Autovacuum works in steps, so dead rows come and go.
const DEAD_ROWS_MARGIN: f64 = 20_000.0;

/// What was seen at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    resident_mb: f64,
    files: f64,
    dead_rows: f64,
    bytes: f64,
    orders: f64,
}

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let per_second = match bench.args.soak_per_second {
        Some(rate) => rate,
        None => bench.maximum().await? * PART_OF_MAXIMUM,
    };
    let time = Duration::from_secs(bench.args.soak_seconds);
    say(&format!("{per_second:.0} orders/s for {} s", time.as_secs()));
    bench.server.settle().await?;
    let since = lowest_id_from_now();
    let arrivals = Arrivals {
        url: bench.args.gateway().to_owned(),
        users: bench.users.clone(),
        per_second,
        warm_up: Duration::ZERO,
        time,
        until_closed: false,
    };
    let (outcome, looks) = tokio::join!(open_loop::run(&arrivals), look_again(bench, time));
    let (outcome, looks) = (outcome?, looks?);
    outcome.check_connections()?;
    ensure!(
        outcome.others.is_empty(),
        "there were other answers: {:?}",
        outcome.others
    );
    let placed = bench.system.books.count(since).await?.placed;
    bench.system.drain(since, placed).await?;
    let turned_away = outcome.refused_us.len() as u64 + outcome.unsent;
    let turned_away = 100.0 * turned_away as f64 / (placed + turned_away).max(1) as f64;
    let of = |figure: fn(&Look) -> f64| looks.iter().map(figure).collect::<Vec<_>>();
    let grown = |first: usize, last: usize| {
        let (first, last) = (looks[first], looks[last]);
        (last.bytes - first.bytes) / (last.orders - first.orders).max(1.0)
    };
    // The first third is for caches, pools and files that are made large enough once.
    let (begin, middle, end) = (looks.len() / 3, looks.len() * 2 / 3, looks.len() - 1);
    Ok(vec![
        Row::new(NAME, "orders under load", "orders", vec![placed as f64]),
        Row::new(
            NAME,
            "orders that were refused, or too many to send",
            "%",
            vec![turned_away],
        )
        .with_bar(Bar::AtMost(1.0, 0.0)),
        Row::new(
            NAME,
            "memory, last third over the middle third",
            "×",
            vec![growth(&of(|look| look.resident_mb))],
        )
        .with_bar(Bar::AtMost(1.15, 1.05)),
        Row::new(
            NAME,
            "open files, last third over the middle third",
            "×",
            vec![growth(&of(|look| look.files))],
        )
        .with_bar(Bar::AtMost(1.15, 1.05)),
        Row::new(
            NAME,
            "dead rows beyond twice the middle third's",
            "rows",
            vec![swelling(&of(|look| look.dead_rows))],
        )
        .with_bar(Bar::AtMost(DEAD_ROWS_MARGIN, 0.0)),
        Row::new(
            NAME,
            "bytes per order, last third over the middle third",
            "×",
            vec![grown(middle, end) / grown(begin, middle).max(1.0)],
        )
        .with_bar(Bar::AtMost(1.3, 1.1)),
    ])
}

async fn look_again(bench: &Bench<'_>, time: Duration) -> anyhow::Result<Vec<Look>> {
    let until = Instant::now() + time;
    let mut looks = Vec::new();
    while Instant::now() < until {
        looks.push(look(bench).await?);
        sleep(time / LOOKS).await;
    }
    ensure!(looks.len() >= 9, "{} looks are too few to see a trend", looks.len());
    Ok(looks)
}

async fn look(bench: &Bench<'_>) -> anyhow::Result<Look> {
    let mut look = Look::default();
    for process in services(bench.system.processes()) {
        look.resident_mb += resident_mb(process)?;
        look.files += fs::read_dir(format!("/proc/{}/fd", process.pid))?.count() as f64;
    }
    for pool in [bench.system.books.orders(), bench.system.books.payments()] {
        let (dead_rows, bytes) = tables(pool).await?;
        look.dead_rows += dead_rows;
        look.bytes += bytes;
    }
    // To count millions of rows every minute would be a load of its own.
    let orders = "select n_tup_ins::float8 from pg_stat_user_tables where relname = 'orders'";
    look.orders = sqlx::query_scalar(orders)
        .fetch_one(bench.system.books.orders())
        .await?;
    Ok(look)
}

async fn tables(pool: &PgPool) -> anyhow::Result<(f64, f64)> {
    let row = sqlx::query(
        "select coalesce(sum(n_dead_tup), 0)::float8, coalesce(sum(pg_total_relation_size(relid)), 0)::float8
           from pg_stat_user_tables",
    );
    let row = row.fetch_one(pool).await?;
    Ok((row.get(0), row.get(1)))
}

fn thirds(values: &[f64]) -> (&[f64], &[f64]) {
    let (begin, middle) = (values.len() / 3, values.len() * 2 / 3);
    (&values[begin..middle], &values[middle..])
}

/// The mean of the last third over that of the middle third.
fn growth(values: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (middle, last) = thirds(values);
    mean(last) / mean(middle).max(f64::MIN_POSITIVE)
}

/// By how much the largest of the last third is above twice the largest of the middle third.
fn swelling(values: &[f64]) -> f64 {
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let (middle, last) = thirds(values);
    (largest(last) - 2.0 * largest(middle)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_has_no_growth_and_what_leaks_has() {
        let steady: Vec<f64> = (0..60).map(|n| if n < 10 { f64::from(n) } else { 50.0 }).collect();
        assert!((growth(&steady) - 1.0).abs() < 0.01);
        let leaking: Vec<f64> = (0..60).map(|n| 50.0 + f64::from(n)).collect();
        assert!(growth(&leaking) > 1.2, "{}", growth(&leaking));
    }

    #[test]
    fn rows_that_die_and_are_cleaned_up_do_not_swell() {
        let saw: Vec<f64> = (0..60).map(|n| f64::from(n % 7) * 1_000.0).collect();
        assert!(swelling(&saw) < f64::EPSILON);
        let rising: Vec<f64> = (0..60).map(|n| f64::from(n * n) * 100.0).collect();
        assert!(swelling(&rising) > DEAD_ROWS_MARGIN, "{}", swelling(&rising));
    }
}
