//! Partitions that are full and published are closed, and not looked at.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    ALL_PUBLISHED, append_to_outbox, closed_below, current_snapshot, execute, keys, let_transactions_pass, stage,
    stage_in_four_partitions, staged,
};
use crate::relay::Window;
use crate::relay::maintenance::close_published;
use crate::state_store::StoreError;
use crate::testing::TestDatabase;

#[test]
fn the_relay_touches_no_partition_that_is_full_and_published() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    let stopping = CancellationToken::new();
    database.block_on(async {
        let start = current_snapshot(pool).await.expect("a snapshot");
        stage_in_four_partitions(pool).await;
        assert_eq!(close_published(pool, &stopping).await, 0, "not published yet");
        execute(pool, ALL_PUBLISHED).await;
        assert_eq!(close_published(pool, &stopping).await, 3, "all but the one in use");
        assert_eq!(closed_below(pool).await, 3 << 20);
        assert_eq!(close_published(pool, &stopping).await, 0, "once each");
        // Whoever would touch one waits for this, and no longer than the pool's connections do for a lock.
        let mut in_the_way = pool.begin().await.expect("a transaction");
        let lock = "lock table streams.outbox_0, streams.outbox_1, streams.outbox_2 in access exclusive mode";
        sqlx::query(lock).execute(&mut *in_the_way).await.expect("locked");
        let mut window = Window {
            start,
            end: current_snapshot(pool).await.expect("a snapshot"),
        };
        let limit = Duration::from_secs(30);
        let short = tokio::time::timeout(limit, keys(pool, &window, 0)).await;
        assert_eq!(short.expect("no wait"), ["d"]);
        let_transactions_pass(pool, 1_200).await;
        window.end = current_snapshot(pool).await.expect("a snapshot");
        let long = tokio::time::timeout(limit, keys(pool, &window, 0)).await;
        assert_eq!(long.expect("no wait"), ["d"]);
    });
}

#[test]
fn a_partition_that_is_written_to_is_not_closed_and_a_closed_one_is_not_written_to() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    let stopping = CancellationToken::new();
    database.block_on(async {
        let mut slow = pool.begin().await.expect("a transaction");
        append_to_outbox(&mut slow, &[staged("slow")]).await.expect("staged");
        execute(pool, "select setval('streams.outbox_id_seq', 2 * (1 << 20) + 5)").await;
        execute(pool, ALL_PUBLISHED).await;
        assert_eq!(close_published(pool, &stopping).await, 0, "somebody writes there");
        // It waits for the writer, and what that commits is not published.
        let closing = sqlx::query("select streams.close_outbox()").execute(pool);
        tokio::pin!(closing);
        let early = tokio::time::timeout(Duration::from_millis(300), &mut closing).await;
        assert!(early.is_err(), "{early:?}");
        slow.commit().await.expect("committed");
        assert!(closing.await.is_err(), "it looks again, and leaves it open");
        assert_eq!(closed_below(pool).await, 0);
        execute(pool, ALL_PUBLISHED).await;
        assert_eq!(
            close_published(pool, &stopping).await,
            2,
            "that one, and one without events"
        );
        // As if a transaction had got its id long ago.
        execute(pool, "select setval('streams.outbox_id_seq', 5)").await;
        let mut asleep = pool.begin().await.expect("a transaction");
        let refused = append_to_outbox(&mut asleep, &[staged("asleep")]).await;
        let refused = refused.expect_err("it would never be published");
        assert!(
            matches!(refused, StoreError::Transient { .. }),
            "it is tried again: {}",
            refused.chain()
        );
        asleep.rollback().await.expect("rolled back");
        execute(pool, "select setval('streams.outbox_id_seq', 2 * (1 << 20) + 6)").await;
        stage(pool, "asleep").await;
    });
}
