//! A window may begin behind events that are published, and hold more than can be sorted in time.

use super::{append_to_outbox, current_snapshot, keys, let_transactions_pass, stage, staged};
use crate::relay::Window;
use crate::testing::TestDatabase;

#[test]
fn a_long_window_is_read_partition_by_partition() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        let set_next = |id: i64| {
            sqlx::query("select setval('streams.outbox_id_seq', $1, false)")
                .bind(id)
                .execute(pool)
        };
        let start = current_snapshot(pool).await.expect("a snapshot");
        let mut late = pool.begin().await.expect("a transaction");
        append_to_outbox(&mut late, &[staged("late")]).await.expect("staged");
        let before = current_snapshot(pool).await.expect("a snapshot");
        // The last id of a partition and the first of the next; then a partition without any; what was staged first comes last.
        for (id, key) in [
            (4 << 20, "e"),
            ((3 << 20) - 1, "c"),
            (1 << 20, "b"),
            (3 << 20, "d"),
            (9, "a"),
        ] {
            set_next(id).await.expect("set");
            stage(pool, key).await;
        }
        let_transactions_pass(pool, 1_200).await;
        let end = current_snapshot(pool).await.expect("a snapshot");
        let all = Window {
            start,
            end: end.clone(),
        };
        assert_eq!(keys(pool, &all, 0).await, ["a", "b", "c", "d", "e"]);
        assert_eq!(keys(pool, &all, 9).await, ["b", "c", "d", "e"]);
        assert_eq!(keys(pool, &all, (3 << 20) - 1).await, ["d", "e"]);
        assert_eq!(keys(pool, &all, 4 << 20).await, [""; 0]);
        // What commits only now is of the next long window, though that begins behind it.
        late.commit().await.expect("committed");
        set_next(10).await.expect("set");
        stage(pool, "f").await;
        let_transactions_pass(pool, 1_200).await;
        let now = current_snapshot(pool).await.expect("a snapshot");
        let rest = Window {
            start: end,
            end: now.clone(),
        };
        assert_eq!(keys(pool, &rest, 0).await, ["late", "f"]);
        let whole = Window {
            start: before,
            end: now,
        };
        assert_eq!(keys(pool, &whole, 0).await, ["late", "a", "f", "b", "c", "d", "e"]);
    });
}
