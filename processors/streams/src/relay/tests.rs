//! What only Postgres has: partitions that go, and a restore from a dump.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use http_kit::health::Health;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::lease::acquire;
use super::maintenance::{
    Partitions, Retention, close_published, drop_old, keep_partitions_ahead, look, maintain_partitions,
};
use super::read_window::{self, events, restamp_after_restore};
use super::wake::{CHANNEL, listen};
use super::window::{Snapshot, Window};
use super::{OutboxEvent, PgOutbox, Publish, PublishError, Publishers, Relay, RelayConfig};
use crate::outbox::{StagedEvent, append_to_outbox};
use crate::state_store::StoreError;
use crate::testing::TestDatabase;

/// Whatever is published and not in use.
const EVERYTHING: Retention = Retention {
    outbox_hours: 0,
    inbox_days: 0,
    request_key_hours: 0,
};

fn staged(key: &str) -> StagedEvent {
    StagedEvent {
        event_id: Uuid::now_v7(),
        topic: "numbers".into(),
        key: key.to_owned(),
        event_type: "test".into(),
        subject: key.to_owned(),
        traceparent: None,
        payload: vec![1, 2, 3],
    }
}

async fn stage(pool: &PgPool, key: &str) {
    let mut tx = pool.begin().await.expect("a transaction");
    append_to_outbox(&mut tx, &[staged(key)]).await.expect("staged");
    tx.commit().await.expect("committed");
}

async fn current_snapshot(pool: &PgPool) -> Result<Snapshot, StoreError> {
    read_window::current_snapshot(pool).await.map(|(snapshot, _)| snapshot)
}

/// The keys that a relay at `window` would publish after the id `after`.
async fn keys(pool: &PgPool, window: &Window, after: i64) -> Vec<String> {
    let events: Vec<_> = events(pool, window, after, closed_below(pool).await)
        .try_collect()
        .await
        .expect("the outbox can be read");
    events.into_iter().map(|event| event.record_key).collect()
}

async fn closed_below(pool: &PgPool) -> i64 {
    read_window::current_snapshot(pool).await.expect("a snapshot").1
}

async fn execute(pool: &PgPool, statement: &'static str) {
    sqlx::raw_sql(statement).execute(pool).await.expect(statement);
}

/// A procedure that ends transactions, which is quicker than asking for each.
async fn let_transactions_pass(pool: &PgPool, count: u32) {
    let pass = format!("do $$ begin for n in 1..{count} loop perform pg_current_xact_id(); commit; end loop; end $$");
    sqlx::raw_sql(sqlx::AssertSqlSafe(pass))
        .execute(pool)
        .await
        .expect("passed");
}

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

/// Three partitions with an event each, and a fourth that takes events now.
async fn stage_in_four_partitions(pool: &PgPool) {
    stage(pool, "a").await;
    for (next, key) in [
        ("select setval('streams.outbox_id_seq', (1 << 20) + 5)", "b"),
        ("select setval('streams.outbox_id_seq', 2 * (1 << 20) + 5)", "c"),
        ("select setval('streams.outbox_id_seq', 3 * (1 << 20) + 5)", "d"),
    ] {
        execute(pool, next).await;
        stage(pool, key).await;
    }
}

const ALL_PUBLISHED: &str = "update streams.relay set published = pg_current_snapshot()";

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

/// A broker that takes everything, and refuses the first call if it is told to.
#[derive(Clone, Debug, Default)]
struct Broker {
    taken: Arc<Mutex<Vec<String>>>,
    refuses: Arc<Mutex<bool>>,
}

impl Broker {
    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Publish for Broker {
    async fn publish(&self, events: &[OutboxEvent]) -> Result<(), PublishError> {
        if std::mem::take(&mut *self.refuses.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Err(PublishError("not now".to_owned()));
        }
        let keys = events.iter().map(|event| event.record_key.clone());
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
        Ok(())
    }
}

impl Publishers for Broker {
    type Publisher = Self;

    fn connect(&self) -> Result<Self, PublishError> {
        Ok(self.clone())
    }
}

fn relay(pool: &PgPool, owner: &str, broker: &Broker, stopping: &CancellationToken) -> Relay<PgOutbox, Broker> {
    Relay {
        outbox: PgOutbox::new(pool.clone()),
        publishers: broker.clone(),
        staged: Arc::new(Notify::new()),
        woken: Arc::new(Notify::new()),
        health: Health::default().part("relay"),
        stopping: stopping.clone(),
        config: RelayConfig {
            owner: owner.to_owned(),
            lease_ms: 60_000,
            poll_max_ms: 5,
        },
    }
}

#[test]
fn a_relay_publishes_what_was_refused_once_and_the_next_one_goes_on_behind_it() {
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        let broker = Broker::default();
        *broker.refuses.lock().expect("no panic") = true;
        stage(pool, "first").await;
        let stopping = CancellationToken::new();
        let until = |count: usize, stopping: CancellationToken| {
            let broker = broker.clone();
            async move {
                while broker.taken().len() < count {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                stopping.cancel();
            }
        };
        futures_util::join!(relay(pool, "one", &broker, &stopping).run(), until(1, stopping.clone()));
        // It has given its lease back, with its progress, so the next one waits for nothing and repeats nothing.
        stage(pool, "second").await;
        let stopping = CancellationToken::new();
        futures_util::join!(relay(pool, "two", &broker, &stopping).run(), until(2, stopping.clone()));
        assert_eq!(broker.taken(), ["first", "second"]);
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
fn a_relay_that_stands_by_passes_on_what_is_staged_here_and_not_what_it_hears() {
    const HEARD: usize = 100;
    let database = TestDatabase::create(&[]);
    let pool = database.pool();
    database.block_on(async {
        acquire(pool, "somebody else", 60_000)
            .await
            .expect("asked")
            .expect("free");
        let stopping = CancellationToken::new();
        let relay = relay(pool, "one", &Broker::default(), &stopping);
        let (staged, woken) = (relay.staged.clone(), relay.woken.clone());
        let connect = {
            let pool = pool.clone();
            move || Ok(pool.clone())
        };
        let listening = tokio::spawn(listen(connect, woken, stopping.clone()));
        let mut ear = PgListener::connect_with(pool).await.expect("connected");
        ear.listen(CHANNEL).await.expect("listening");
        let running = tokio::spawn(relay.run());
        staged.notify_one();
        assert_eq!(ear.recv().await.expect("passed on").payload(), "");
        // All of these are heard by the relay, too, for far longer than it rests.
        for _ in 0..HEARD {
            let tick = sqlx::query("select pg_notify($1, 'tick')").bind(CHANNEL);
            tick.execute(pool).await.expect("sent");
            assert_eq!(ear.recv().await.expect("heard").payload(), "tick", "an echo");
        }
        stopping.cancel();
        running.await.expect("no panic");
        listening.await.expect("no panic");
    });
}
