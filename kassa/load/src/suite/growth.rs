//! Growth: the same load with ever more orders, attempts and ledger rows in the tables.
//!
//! The rows are written by SQL as the platform would have written them, in the past, closed and paid.

use super::{Bar, Bench, Row};
use crate::figures::SystemRun;
use crate::say;

const NAME: &str = "growth";
/// Orders in the tables at each look; the first is what the run has left by then, at least.
const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// Orders of last month: ids of an earlier time, in order, so that the index looks as it would.
const ORDERS: &str = "
insert into orders (id, user_id, amount, status, created_at, updated_at)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8'
        || lpad(to_hex(n), 15, '0'))::uuid,
       'load-' || lpad((n % 100000)::text, 5, '0'), 1.00, 'FINISHED', at, at
  from (select n, now() - interval '30 days' + n * interval '1 millisecond' * (864000000.0 / $2) as at
          from generate_series($1, $2) n) past";

/// One attempt and one ledger row each. Accounts go on from the version they have.
const PAYMENTS: &str = "
with past as materialized (
    select n, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
               || '8' || lpad(to_hex(n), 15, '0'))::uuid as order_id,
           'load-' || lpad((n % 100000)::text, 5, '0') as user_id, at
      from (select n, now() - interval '30 days' + n * interval '1 millisecond' * (864000000.0 / $2) as at
              from generate_series($1, $2) n) p
), numbered as (
    select p.*, a.version + row_number() over w as version, a.balance - row_number() over w as balance_after
      from past p join accounts a using (user_id) window w as (partition by p.user_id order by p.n)
), attempt as (
    insert into payment_attempts (order_id, user_id, amount, status, account_version, decided_at)
    select order_id, user_id, 1.00, 'SUCCESS', version, at from numbered
), line as (
    insert into ledger (user_id, version, id, kind, amount, balance_after, order_id, created_at)
    select user_id, version, gen_random_uuid(), 'payment', -1.00, balance_after, order_id, at from numbered
)
update accounts a set version = l.version, balance = l.balance
  from (select user_id, max(version) as version, min(balance_after) as balance from numbered group by user_id) l
 where a.user_id = l.user_id";

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let (mut first, mut filled) = (None, 0);
    for size in SIZES.into_iter().filter(|size| *size <= bench.args.growth_max) {
        say(&format!("filling the tables up to {size} orders"));
        fill(bench, filled + 1, size).await?;
        filled = size;
        bench.server.settle().await?;
        let load = bench.closed_loop();
        let run = bench.system.run(&load).await?;
        let (rate, cpu) = (run.rates.completed_per_second, run.cpu_us_per_order);
        say(&format!("{size} orders: {rate:.0}/s, {cpu:.0} µs of CPU each"));
        rows.push(Row::new(
            NAME,
            format!("{size} orders: whole flow"),
            "orders/s",
            vec![rate],
        ));
        rows.push(Row::new(NAME, format!("{size} orders: CPU per order"), "µs", vec![cpu]));
        let first: &SystemRun = first.get_or_insert_with(|| run.clone());
        if size > SIZES[0] {
            let slower = rate / first.rates.completed_per_second;
            let dearer = cpu / first.cpu_us_per_order;
            rows.push(
                Row::new(NAME, format!("{size} orders, over {}", SIZES[0]), "×", vec![slower])
                    .with_bar(Bar::AtLeast(0.8, 0.95)),
            );
            rows.push(
                Row::new(
                    NAME,
                    format!("{size} orders: CPU, over {}", SIZES[0]),
                    "×",
                    vec![dearer],
                )
                .with_bar(Bar::AtMost(1.3, 1.1)),
            );
        }
    }
    Ok(rows)
}

async fn fill(bench: &Bench<'_>, from: u64, to: u64) -> anyhow::Result<()> {
    let (from, to) = (i64::try_from(from)?, i64::try_from(to)?);
    let books = &bench.system.books;
    sqlx::query(ORDERS).bind(from).bind(to).execute(books.orders()).await?;
    sqlx::query(PAYMENTS)
        .bind(from)
        .bind(to)
        .execute(books.payments())
        .await?;
    Ok(())
}
