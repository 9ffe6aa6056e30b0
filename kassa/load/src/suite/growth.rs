//! Growth: the same load with ever more orders, attempts and ledger rows in the tables.
//!
//! The rows are written by SQL as the platform would have written them a month ago, closed and paid. Their events have been
//! dropped since, as a platform does, and so are those of before this program: the judge looks for no event that old.

use super::{Bar, Bench, Row, reads};
use crate::books::lowest_id_from_now;
use crate::figures::SystemRun;
use crate::say;

const NAME: &str = "growth";
/// Orders that are filled in by each look, beside those of the warm-up and of the looks before; a row says how many there are.
const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// The first orders are those of so many users, so that a first page is a whole one from the beginning.
const READERS: i64 = 100;
const ALL_USERS: i64 = 100_000;

/// Orders of last month: ids of an earlier time, in order, so that the index looks as it would.
const ORDERS: &str = "
insert into orders (id, user_id, amount, status, created_at, updated_at)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8'
        || lpad(to_hex(n), 15, '0'))::uuid,
       'load-' || lpad((n % $4)::text, 5, '0'), 1.00, 'FINISHED', at, at
  from (select n, $3::timestamptz + n * interval '1 millisecond' * (864000000.0 / $2) as at
          from generate_series($1, $2) n) past";

/// One attempt and one ledger row each. Accounts go on from the version they have.
const PAYMENTS: &str = "
with past as materialized (
    select n, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
               || '8' || lpad(to_hex(n), 15, '0'))::uuid as order_id,
           'load-' || lpad((n % $4)::text, 5, '0') as user_id, at
      from (select n, $3::timestamptz + n * interval '1 millisecond' * (864000000.0 / $2) as at
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

/// What a platform does with partitions that are old, whatever their age: the next event begins another one.
const DROP_EVENTS: &str = "
do $$ declare
    size  constant bigint := 1 << 20;
    next  bigint := (select last_value from streams.outbox_id_seq) / size + 1;
    child regclass;
begin
    perform setval('streams.outbox_id_seq', next * size);
    for child in select inhrelid::regclass from pg_inherits where inhparent = 'streams.outbox'::regclass loop
        continue when substring(child::text from '[0-9]+$')::bigint >= next;
        execute format('alter table streams.outbox detach partition %s', child);
        execute format('drop table %s', child);
    end loop;
end $$";

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let (mut first, mut filled) = (None, 0);
    // Of what was done until now the events go, too.
    bench.system.books.audit(lowest_id_from_now()).await?;
    let books = &bench.system.books;
    let began = sqlx::query_scalar("select (now() - interval '30 days')::text");
    let began: String = began.fetch_one(books.orders()).await?;
    for pool in [books.orders(), books.payments()] {
        sqlx::query(DROP_EVENTS).execute(pool).await?;
    }
    for size in SIZES.into_iter().filter(|size| *size <= bench.args.growth_max) {
        say(&format!("filling the tables up to {size} orders"));
        fill(bench, &began, filled + 1, size).await?;
        filled = size;
        bench.server.settle().await?;
        let load = bench.closed_loop();
        let there = sqlx::query_scalar::<_, i64>("select count(*) from orders");
        let there = there.fetch_one(bench.system.books.orders()).await?;
        let run = bench.system.run(&load).await?;
        let (rate, cpu) = (run.rates.completed_per_second, run.cpu_us_per_order);
        let page = reads::first_page_ms(bench, READERS).await?;
        say(&format!(
            "{there} orders: {rate:.0}/s, {cpu:.0} µs of CPU each, a first page in {page:.1} ms"
        ));
        rows.push(Row::new(
            NAME,
            format!("{there} orders: whole flow"),
            "orders/s",
            vec![rate],
        ));
        rows.push(Row::new(
            NAME,
            format!("{there} orders: CPU per order"),
            "µs",
            vec![cpu],
        ));
        rows.push(Row::new(
            NAME,
            format!("{there} orders: first page of 50, 32 clients"),
            "ms",
            vec![page],
        ));
        let (least, first, first_page): &(i64, SystemRun, f64) =
            first.get_or_insert_with(|| (there, run.clone(), page));
        if size > SIZES[0] {
            let slower = rate / first.rates.completed_per_second;
            let dearer = cpu / first.cpu_us_per_order;
            rows.push(
                Row::new(NAME, format!("{there} orders, over {least}"), "×", vec![slower])
                    .with_bar(Bar::AtLeast(0.8, 0.95)),
            );
            rows.push(
                Row::new(NAME, format!("{there} orders: CPU, over {least}"), "×", vec![dearer])
                    .with_bar(Bar::AtMost(1.3, 1.1)),
            );
            let slower = page / first_page;
            rows.push(
                Row::new(
                    NAME,
                    format!("{there} orders: first page, over {least}"),
                    "×",
                    vec![slower],
                )
                .with_bar(Bar::AtMost(4.0, 2.0)),
            );
        }
    }
    Ok(rows)
}

async fn fill(bench: &Bench<'_>, began: &str, from: u64, to: u64) -> anyhow::Result<()> {
    let (from, to) = (i64::try_from(from)?, i64::try_from(to)?);
    let books = &bench.system.books;
    let users = if from == 1 { READERS } else { ALL_USERS };
    for (rows, pool) in [(ORDERS, books.orders()), (PAYMENTS, books.payments())] {
        let filling = sqlx::query(rows).bind(from).bind(to).bind(began).bind(users);
        filling.execute(pool).await?;
    }
    Ok(())
}
