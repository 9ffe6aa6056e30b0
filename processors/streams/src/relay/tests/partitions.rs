//! Partitions come ahead of need, and go when they are old and published.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{EVERYTHING, append_to_outbox, stage, staged};
use crate::relay::maintenance::{Partitions, Retention, drop_old, keep_partitions_ahead, look, maintain_partitions};
use crate::testing::TestDatabase;

#[test]
fn it_is_known_how_many_partitions_there_are_and_how_many_lie_ahead() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        let tables = look(pool).await.expect("looked");
        let of = |name: &str| {
            tables
                .iter()
                .find(|table| table.table_name == name)
                .expect(name)
                .clone()
        };
        assert_eq!(tables.len(), 3, "{tables:?}");
        assert_eq!((of("outbox").kept, of("outbox").ahead), (8, 7));
        assert_eq!((of("inbox").kept, of("inbox").ahead), (29, 14));
        assert_eq!(of("request_key").ahead, 14);
        // The last of the partitions is in use, and nobody has made further ones.
        sqlx::query("select setval('streams.outbox_id_seq', 7 * (1 << 20) + 5)")
            .execute(pool)
            .await
            .expect("set");
        let before = of("outbox");
        stage(pool, "key").await;
        let tables = look(pool).await.expect("looked");
        let outbox: &Partitions = tables
            .iter()
            .find(|table| table.table_name == "outbox")
            .expect("outbox");
        assert_eq!((outbox.kept, outbox.ahead), (8, 0));
        assert!(outbox.bytes > before.bytes, "{outbox:?}");
    });
}

#[test]
fn a_service_without_a_processor_keeps_its_partitions_ahead() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        // The last of the partitions is in use.
        sqlx::query("select setval('streams.outbox_id_seq', 7 * (1 << 20) + 5)")
            .execute(pool)
            .await
            .expect("set");
        let stopping = CancellationToken::new();
        let ahead = async || look(pool).await.expect("looked").iter().map(|table| table.ahead).min();
        let watch = async {
            while ahead().await < Some(7) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stopping.cancel();
        };
        futures_util::join!(keep_partitions_ahead(pool.clone(), stopping.clone()), watch);
    });
}

#[test]
fn a_round_of_maintenance_makes_partitions_ahead_and_ends_with_the_service() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    let retention = Retention {
        outbox_hours: 1,
        inbox_days: 30,
        request_key_hours: 48,
    };
    let partitions = "select count(*) from pg_inherits where inhparent = 'streams.inbox'::regclass";
    database.block_on(async {
        let count = || async {
            sqlx::query_scalar::<_, i64>(partitions)
                .fetch_one(pool)
                .await
                .expect("a count")
        };
        let before = count().await;
        // As if the service had slept through a day.
        let ahead =
            "select format('drop table streams.%I', c.relname) from pg_inherits join pg_class c on c.oid = inhrelid
                      where inhparent = 'streams.inbox'::regclass order by c.relname desc limit 1";
        let drop: String = sqlx::query_scalar(ahead).fetch_one(pool).await.expect("a partition");
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop))
            .execute(pool)
            .await
            .expect("dropped");
        assert_eq!(count().await, before - 1);
        let stopping = CancellationToken::new();
        let watch = async {
            while count().await < before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stopping.cancel();
        };
        futures_util::join!(maintain_partitions(pool.clone(), retention, stopping.clone()), watch);
        assert_eq!(count().await, before);
    });
}

#[test]
fn partitions_go_only_when_they_are_published_and_old() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    let old = EVERYTHING;
    database.block_on(async {
        stage(pool, "first").await;
        // The next event opens the next partition of 2^20.
        sqlx::query("select setval('streams.outbox_id_seq', (1 << 20) + 5)")
            .execute(pool)
            .await
            .expect("set");
        stage(pool, "second").await;
        let dropped = async |retention: Retention| {
            let mut dropped = Vec::new();
            for old in retention.all() {
                dropped.push(drop_old(pool, old, &CancellationToken::new()).await);
            }
            dropped
        };
        let all_but_inbox = Retention {
            inbox_days: 30,
            request_key_hours: 48,
            ..old
        };
        assert_eq!(dropped(all_but_inbox).await, [0; 3], "not published yet");
        sqlx::query("update streams.relay set published = pg_current_snapshot()")
            .execute(pool)
            .await
            .expect("updated");
        let kept = Retention {
            outbox_hours: 1,
            inbox_days: 30,
            request_key_hours: 48,
        };
        assert_eq!(dropped(kept).await, [0; 3], "not old yet");
        let [outbox, inbox, keys] = dropped(old).await[..] else {
            panic!("three tables");
        };
        assert_eq!(outbox, 1);
        assert!(inbox > 1, "the days before today are gone, one after the other");
        assert_eq!(keys, 1, "yesterday's request keys are gone");
        let left: Vec<String> = sqlx::query_scalar("select record_key from streams.outbox")
            .fetch_all(pool)
            .await
            .expect("the outbox can be read");
        assert_eq!(left, ["second"]);
        stage(pool, "third").await;
    });
}

#[test]
fn a_partition_that_takes_an_event_while_it_is_dropped_stays() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        let mut slow = pool.begin().await.expect("a transaction");
        append_to_outbox(&mut slow, &[staged("slow")]).await.expect("staged");
        // Others have gone on to the next partition, and all that can be seen of this one is published: nothing.
        sqlx::query("select setval('streams.outbox_id_seq', (1 << 20) + 5)")
            .execute(pool)
            .await
            .expect("set");
        let drop_old = sqlx::query("select streams.drop_old_outbox(interval '0')").execute(pool);
        tokio::pin!(drop_old);
        // It has seen nothing to keep, and waits for the writer.
        let early = tokio::time::timeout(Duration::from_millis(300), &mut drop_old).await;
        assert!(early.is_err(), "{early:?}");
        slow.commit().await.expect("committed");
        assert!(drop_old.await.is_err(), "it looks again, and keeps it");
        let left: i64 = sqlx::query_scalar("select count(*) from streams.outbox")
            .fetch_one(pool)
            .await
            .expect("the outbox can be read");
        assert_eq!(left, 1);
    });
}

#[test]
fn what_writes_to_several_tables_keeps_none_of_them_from_being_dropped() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        // Partitions of all three are due, and whoever holds the inbox wants the outbox next.
        stage(pool, "old").await;
        for next in [
            "select setval('streams.outbox_id_seq', (1 << 20) + 5)",
            "update streams.relay set published = pg_current_snapshot()",
        ] {
            sqlx::query(next).execute(pool).await.expect("done");
        }
        let mut batch = pool.begin().await.expect("a transaction");
        sqlx::query("select count(*) from streams.inbox")
            .execute(&mut *batch)
            .await
            .expect("read");
        let stopping = CancellationToken::new();
        let [outbox, inbox, keys] = EVERYTHING.all();
        assert_eq!(drop_old(pool, outbox, &stopping).await, 1);
        assert_eq!(drop_old(pool, inbox, &stopping).await, 0, "it is in use");
        assert_eq!(drop_old(pool, keys, &stopping).await, 1);
        append_to_outbox(&mut batch, &[staged("new")]).await.expect("staged");
        batch.commit().await.expect("committed");
        assert!(drop_old(pool, inbox, &stopping).await > 1);
    });
}

#[test]
fn the_inbox_keeps_the_day_of_an_open_dead_letter() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        let old = chrono::Utc::now() - chrono::Duration::days(3);
        let millis = u64::try_from(old.timestamp_millis()).expect("after 1970");
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &[1; 10]).into_uuid();
        let park = "insert into streams.dead_letter
                        (subscription_id, partition, \"offset\", event_id, stage, state, holds_key, cause)
                    values (1, 0, 0, $1, 'process', 'pending', true, 'a test')";
        sqlx::query(park).bind(id).execute(pool).await.expect("parked");
        let enter = "insert into streams.inbox (event_id, subscription_id, partition, \"offset\") values ($1, 1, 0, 0)";
        let [_, inbox, _] = EVERYTHING.all();
        let stopping = CancellationToken::new();
        assert!(drop_old(pool, inbox, &stopping).await > 1, "the other days");
        sqlx::query(enter)
            .bind(id)
            .execute(pool)
            .await
            .expect("its day is there");
        let settle = "update streams.dead_letter set state = 'replayed'";
        sqlx::query(settle).execute(pool).await.expect("settled");
        assert_eq!(drop_old(pool, inbox, &stopping).await, 1);
    });
}
