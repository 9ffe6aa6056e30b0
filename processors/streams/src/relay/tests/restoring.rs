//! After a restore from a dump transaction ids start anew, and what was kept is published once more.

use tokio_util::sync::CancellationToken;

use super::{ALL_PUBLISHED, closed_below, current_snapshot, execute, keys, stage, stage_in_four_partitions};
use crate::relay::Window;
use crate::relay::lease::acquire;
use crate::relay::maintenance::close_published;
use crate::relay::read_window::restamp_after_restore;
use crate::testing::TestDatabase;

#[test]
fn after_a_restore_whatever_receivers_can_still_know_is_published_again() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        stage(pool, "of last month").await;
        sqlx::query("update streams.outbox set staged_at = now() - interval '30 days'")
            .execute(pool)
            .await
            .expect("updated");
        for key in ["a", "b"] {
            stage(pool, key).await;
        }
        // A dump keeps transaction ids of the server that it came from, which this one has not reached.
        sqlx::query("update streams.outbox set xid = '90000000'")
            .execute(pool)
            .await
            .expect("updated");
        sqlx::query("update streams.relay set published = '90000001:90000001:'")
            .execute(pool)
            .await
            .expect("updated");
        let tenure = acquire(pool, "one", 60_000).await.expect("answer").expect("the lease");
        let now = current_snapshot(pool).await.expect("a snapshot");
        assert!(now.is_before(&tenure.progress.published));
        restamp_after_restore(pool, tenure.epoch).await.expect("restamped");
        let tenure = acquire(pool, "one", 60_000).await.expect("answer").expect("the lease");
        let window = Window {
            start: tenure.progress.published.clone(),
            end: current_snapshot(pool).await.expect("a snapshot"),
        };
        assert_eq!(keys(pool, &window, 0).await, ["a", "b"]);
    });
}

#[test]
fn after_a_restore_closed_partitions_are_published_again() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    let stopping = CancellationToken::new();
    database.block_on(async {
        stage_in_four_partitions(pool).await;
        execute(pool, ALL_PUBLISHED).await;
        assert_eq!(close_published(pool, &stopping).await, 3);
        let tenure = acquire(pool, "one", 60_000).await.expect("answer").expect("the lease");
        restamp_after_restore(pool, tenure.epoch).await.expect("restamped");
        assert_eq!(close_published(pool, &stopping).await, 0, "not published since");
        let tenure = acquire(pool, "one", 60_000).await.expect("answer").expect("the lease");
        let window = Window {
            start: tenure.progress.published.clone(),
            end: current_snapshot(pool).await.expect("a snapshot"),
        };
        assert_eq!(keys(pool, &window, 0).await, ["a", "b", "c", "d"]);
        execute(pool, ALL_PUBLISHED).await;
        assert_eq!(close_published(pool, &stopping).await, 3, "as before");
    });
}

#[test]
fn while_a_restore_is_published_again_nothing_is_closed_behind_it() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    let stopping = CancellationToken::new();
    database.block_on(async {
        stage_in_four_partitions(pool).await;
        execute(pool, ALL_PUBLISHED).await;
        let tenure = acquire(pool, "one", 60_000).await.expect("answer").expect("the lease");
        let mut restamping = pool.begin().await.expect("a transaction");
        sqlx::query("select streams.restamp_outbox($1)")
            .bind(tenure.epoch)
            .execute(&mut *restamping)
            .await
            .expect("restamped");
        // What is stamped anew cannot be seen yet, and by what can be seen all is published.
        assert_eq!(close_published(pool, &stopping).await, 0);
        restamping.commit().await.expect("committed");
        assert_eq!(close_published(pool, &stopping).await, 0);
        assert_eq!(closed_below(pool).await, 0);
    });
}
