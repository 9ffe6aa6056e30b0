//! How long the judge takes for many orders: `cargo bench -p audit --all-features` for a million.
//!
//! `ORDERS` and `USERS` choose other numbers. The books are made by SQL, and are clean: a finding is a failure.

use std::time::{Duration, Instant};

use audit::Books;
use sqlx::{AssertSqlSafe, PgPool};
use streams::testing::TestDatabase;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Runs a script with its numbers filled in.
async fn fill(pool: &PgPool, script: &str, orders: u64, users: u64, base: &str) {
    let script = script
        .replace(":orders", &orders.to_string())
        .replace(":users", &users.to_string())
        .replace(":base", &format!("'{base}'::timestamptz"));
    let filled = sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await;
    filled.expect("the books are made");
}

fn main() {
    // `cargo test --all-targets` runs this program, too.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let (orders, users) = (number("ORDERS", 1_000_000), number("USERS", 1_000));
    let of_orders = TestDatabase::create(&[&orders::MIGRATOR]);
    let of_payments = TestDatabase::create(&[&payments::MIGRATOR]);
    of_orders.block_on(async {
        let address = |database: &TestDatabase| (*database.pool().connect_options()).clone();
        // One runtime for all connections.
        let books = Books {
            orders: PgPool::connect_lazy_with(address(&of_orders)),
            payments: PgPool::connect_lazy_with(address(&of_payments)),
        };
        let query = "select (date_trunc('day', now() at time zone 'utc') - interval '2 days')::text || '+00'";
        let base: String = sqlx::query_scalar(query).fetch_one(&books.orders).await.expect("a day");
        fill(&books.orders, include_str!("orders.sql"), orders, users, &base).await;
        fill(&books.payments, include_str!("payments.sql"), orders, users, &base).await;
        for run in 1..=3 {
            let began = Instant::now();
            let report = books.audit(Duration::ZERO).await.expect("both databases answer");
            assert_eq!(report.findings, []);
            println!("run {run}: {report}: {:.1} s", began.elapsed().as_secs_f64());
        }
        let began = Instant::now();
        let (report, seal) = books
            .audit_and_seal(None, Duration::ZERO)
            .await
            .expect("both databases answer");
        println!("sealed: {report}: {:.1} s", began.elapsed().as_secs_f64());
        let seal = seal.expect("clean books are sealed");
        let began = Instant::now();
        let report = books
            .audit_since(&seal, Duration::ZERO)
            .await
            .expect("both databases answer");
        assert_eq!(report.findings, []);
        println!("since then: {report}: {:.1} s", began.elapsed().as_secs_f64());
    });
}
