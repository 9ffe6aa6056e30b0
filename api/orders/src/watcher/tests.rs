//! The watcher on a real Postgres, and how often it asks.

use orders::OrderStatus;
use streams::testing::TestDatabase;

use super::*;

async fn place(pool: &PgPool) -> Uuid {
    let id = Uuid::now_v7();
    let placed = sqlx::query("insert into orders (id, user_id, amount) values ($1, 'alice', 1)").bind(id);
    placed.execute(pool).await.expect("the order is new");
    id
}

async fn close(pool: &PgPool, ids: &[Uuid]) {
    let closed = sqlx::query("update orders set status = 'FINISHED' where id = any($1)").bind(ids);
    closed.execute(pool).await.expect("the orders are there");
}

/// How many times the database has been asked for closed orders.
async fn questions(pool: &PgPool) -> i64 {
    sqlx::query("select pg_stat_force_next_flush()")
        .execute(pool)
        .await
        .expect("flushed");
    let scans = "select idx_scan + seq_scan from pg_stat_user_tables where relname = 'orders'";
    sqlx::query_scalar(scans).fetch_one(pool).await.expect("statistics")
}

fn test(story: impl AsyncFnOnce(PgPool, OrderWatcher)) {
    let database = TestDatabase::create(&[&orders::MIGRATOR]);
    database.block_on(async {
        let pool = database.pool().clone();
        let stopping = CancellationToken::new();
        let watcher = OrderWatcher::start(pool.clone(), stopping.clone());
        story(pool, watcher).await;
        stopping.cancel();
    });
}

#[test]
fn everybody_who_waits_for_an_order_hears_of_its_end() {
    test(async |pool, watcher| {
        let (first, second) = (place(&pool).await, place(&pool).await);
        let mut waits = [
            watcher.wait_for(first),
            watcher.wait_for(first),
            watcher.wait_for(second),
        ];
        close(&pool, &[first]).await;
        for wait in &mut waits[..2] {
            let order = wait.closed().await.expect("closed");
            assert_eq!((order.id, order.status), (first, OrderStatus::Finished));
        }
        close(&pool, &[second]).await;
        assert_eq!(waits[2].closed().await.expect("closed").id, second);
    });
}

#[test]
fn an_order_that_is_closed_already_is_told_at_once() {
    test(async |pool, watcher| {
        let order = place(&pool).await;
        close(&pool, &[order]).await;
        assert!(watcher.wait_for(order).closed().await.is_some());
    });
}

#[test]
fn who_waits_after_a_stop_was_asked_for_is_answered_at_once() {
    test(async |pool, watcher| {
        let order = place(&pool).await;
        watcher.stopping.cancel();
        // The watcher itself has ended by then, or is about to.
        for _ in 0..3 {
            assert_eq!(watcher.wait_for(order).closed().await, None);
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn whoever_was_told_gives_up_no_place_but_its_own() {
    test(async |pool, watcher| {
        let order = place(&pool).await;
        let mut told = watcher.wait_for(order);
        close(&pool, &[order]).await;
        told.closed().await.expect("closed");
        // Before the first has gone another one comes.
        let mut next = watcher.wait_for(order);
        drop(told);
        assert!(next.closed().await.is_some());
    });
}

#[test]
fn a_thousand_waits_cost_one_question_at_a_time() {
    test(async |pool, watcher| {
        let mut ids = Vec::new();
        for _ in 0..1_000 {
            ids.push(place(&pool).await);
        }
        let mut waits: Vec<Waiting> = ids.iter().map(|id| watcher.wait_for(*id)).collect();
        let (before, started) = (questions(&pool).await, Instant::now());
        tokio::time::sleep(Duration::from_millis(400)).await;
        let (asked, ticks) = (
            questions(&pool).await - before,
            started.elapsed().as_millis() / PAUSE_MIN.as_millis(),
        );
        // However long this machine has taken: no more than one a tick, where one for each wait would be thousands.
        assert!(
            i128::from(asked) <= i128::try_from(ticks).expect("few") * 2,
            "{asked} in {ticks} ticks"
        );
        close(&pool, &ids).await;
        for wait in &mut waits {
            assert!(wait.closed().await.is_some());
        }
    });
}

#[test]
fn nobody_who_waits_costs_nothing() {
    test(async |pool, watcher| {
        let order = place(&pool).await;
        let wait = watcher.wait_for(order);
        assert_eq!(watcher.waiting().len(), 1);
        let second = watcher.wait_for(order);
        drop(wait);
        assert_eq!(watcher.waiting().len(), 1, "somebody still waits");
        drop(second);
        assert_eq!(watcher.waiting().len(), 0);
        // The question that was under way may still arrive; then there are no more.
        let mut last = questions(&pool).await;
        loop {
            tokio::time::sleep(PAUSE_MAX * 2).await;
            let now = questions(&pool).await;
            if now == last {
                break;
            }
            last = now;
        }
    });
}

#[test]
fn a_process_that_stops_keeps_nobody_waiting() {
    test(async |pool, watcher| {
        let mut wait = watcher.wait_for(place(&pool).await);
        watcher.stopping.cancel();
        assert!(wait.closed().await.is_none());
    });
}

#[test]
fn pauses_grow_with_the_quiet_and_with_the_question() {
    let ms = Duration::from_millis;
    assert_eq!(pause_after(Duration::ZERO, Duration::ZERO), PAUSE_MIN);
    assert_eq!(pause_after(ms(10), Duration::ZERO), ms(10) * PAUSE_FACTOR);
    assert_eq!(pause_after(Duration::ZERO, ms(400)), ms(400) / PAUSE_PART);
    assert_eq!(pause_after(Duration::ZERO, ms(60_000)), PAUSE_MAX);
    assert_eq!(pause_after(ms(60_000), Duration::ZERO), PAUSE_MAX);
}
