//! The relay's questions to its outbox, with transactions that are open at the same time: the same scenarios in memory
//! and on Postgres.

use chrono::{Duration, Utc};
use futures_util::TryStreamExt as _;
use uuid::Uuid;

use super::lease::Tenure;
use super::window::Window;
use super::{Outbox, OutboxEvent, PgOutbox};
use crate::backend::{MemoryBackend, MemoryOutbox, PgBackend};
use crate::clock::Clock;
use crate::outbox::StagedEvent;
use crate::testing::{TakeTurns, TestDatabase};

/// A lease that no test is slow enough to outlive by accident.
const LEASE_MS: u32 = 600_000;
const LEASE: Duration = Duration::milliseconds(LEASE_MS as i64);

/// Runs each scenario on a fresh database of each kind, as two tests.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(super::$name(crate::backend::MemoryBackend::default()));
            })*
        }
        mod postgres {
            $(#[test] fn $name() {
                let database = super::TestDatabase::create(&[]);
                database.block_on(super::$name(crate::backend::PgBackend::new(database.pool().clone())));
            })*
        }
    };
}

on_both! {
    a_transaction_that_commits_late_is_published_late_and_once
    an_open_transaction_of_an_earlier_id_is_not_passed_over
    what_was_rolled_back_is_never_published
    a_window_goes_on_behind_what_was_acknowledged
    events_come_as_they_were_staged
    events_of_a_key_keep_the_order_of_its_lock
    one_relay_at_a_time_and_an_old_one_saves_nothing
    a_lease_that_is_kept_is_not_taken
    a_lease_that_ran_out_is_kept_until_somebody_takes_it
    whoever_has_the_lease_gets_it_again_under_another_epoch
    a_lease_that_was_given_back_is_free_at_once
    a_lease_of_a_clock_that_was_far_ahead_is_free
    the_next_relay_goes_on_where_the_progress_was_saved
    what_was_published_without_being_saved_is_published_again
}

/// A database with an outbox, whose lease can be moved through time.
trait Staging: TakeTurns {
    type Outbox: Outbox;

    fn relay(&self) -> Self::Outbox;
    /// Lets time pass by the database's clock, or sets it back.
    async fn let_pass(&self, time: Duration);
}

impl Staging for MemoryBackend {
    type Outbox = MemoryOutbox;

    fn relay(&self) -> MemoryOutbox {
        MemoryOutbox {
            database: self.clone(),
            host_clock: Clock::system(),
        }
    }

    async fn let_pass(&self, time: Duration) {
        let now = self.now().unwrap_or_else(Utc::now) + time;
        self.set_clock(move || now);
    }
}

impl Staging for PgBackend {
    type Outbox = PgOutbox;

    fn relay(&self) -> PgOutbox {
        PgOutbox::new(self.pool().clone())
    }

    /// The server's clock is everybody's, so the lease moves instead.
    async fn let_pass(&self, time: Duration) {
        let pass = "update streams.relay set lease_until = lease_until - $1 * interval '1 ms'";
        let pass = sqlx::query(pass).bind(time.num_milliseconds() as f64);
        pass.execute(self.pool()).await.expect("updated");
    }
}

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

/// A transaction that has staged an event, and goes on working.
async fn staging<D: Staging>(database: &D, key: &str) -> D::Tx {
    let mut tx = database.client().begin().await.expect("a transaction");
    stage(database, &mut tx, key).await;
    tx
}

async fn stage<D: Staging>(database: &D, tx: &mut D::Tx, key: &str) {
    database.append_to_outbox(tx, &[staged(key)]).await.expect("staged");
}

async fn staged_and_committed<D: Staging>(database: &D, key: &str) {
    let tx = staging(database, key).await;
    database.commit(tx).await.expect("committed");
}

/// A window in which nothing has happened yet.
async fn beginning<D: Staging>(database: &D) -> Window {
    let snapshot = database.relay().current_snapshot().await.expect("a snapshot");
    Window {
        start: snapshot.clone(),
        end: snapshot,
    }
}

/// From where `window` ends to now.
async fn next<D: Staging>(database: &D, window: &Window) -> Window {
    Window {
        start: window.end.clone(),
        end: database.relay().current_snapshot().await.expect("a snapshot"),
    }
}

async fn events<D: Staging>(database: &D, window: &Window, after: i64) -> Vec<OutboxEvent> {
    let outbox = database.relay();
    let events = outbox.events(window, after).try_collect().await;
    events.expect("the outbox can be read")
}

/// The keys that a relay publishes at `window`.
async fn keys<D: Staging>(database: &D, window: &Window) -> Vec<String> {
    let events = events(database, window, 0).await.into_iter();
    events.map(|event| event.record_key).collect()
}

async fn acquire<D: Staging>(database: &D, owner: &str) -> Option<Tenure> {
    database.relay().acquire(owner, LEASE_MS).await.expect("an answer")
}

async fn renew<D: Staging>(database: &D, tenure: &Tenure) -> bool {
    database.relay().renew(tenure, LEASE_MS).await.expect("an answer")
}

async fn a_transaction_that_commits_late_is_published_late_and_once<D: Staging>(database: D) {
    let start = beginning(&database).await;
    let slow = staging(&database, "slow").await;
    staged_and_committed(&database, "quick").await;
    let first = next(&database, &start).await;
    // A reader that goes by `id > last` has now passed the slow one for ever.
    assert_eq!(keys(&database, &first).await, ["quick"]);
    database.commit(slow).await.expect("committed");
    staged_and_committed(&database, "later").await;
    let second = next(&database, &first).await;
    assert_eq!(keys(&database, &second).await, ["slow", "later"]);
    let third = next(&database, &second).await;
    assert!(third.is_empty() || keys(&database, &third).await.is_empty());
}

async fn an_open_transaction_of_an_earlier_id_is_not_passed_over<D: Staging>(database: D) {
    let start = beginning(&database).await;
    let mut oldest = staging(&database, "of the oldest").await;
    let middle = staging(&database, "of the middle one").await;
    staged_and_committed(&database, "of the newest").await;
    let first = next(&database, &start).await;
    assert_eq!(keys(&database, &first).await, ["of the newest"]);
    // The oldest one stays open over several windows, and stages more meanwhile.
    database.commit(middle).await.expect("committed");
    let second = next(&database, &first).await;
    assert_eq!(keys(&database, &second).await, ["of the middle one"]);
    stage(&database, &mut oldest, "of the oldest, too").await;
    let third = next(&database, &second).await;
    assert_eq!(keys(&database, &third).await, [""; 0]);
    database.commit(oldest).await.expect("committed");
    let fourth = next(&database, &third).await;
    assert_eq!(keys(&database, &fourth).await, ["of the oldest", "of the oldest, too"]);
}

async fn what_was_rolled_back_is_never_published<D: Staging>(database: D) {
    let start = beginning(&database).await;
    let lost = staging(&database, "lost").await;
    let mut cut_off = staging(&database, "cut off").await;
    let first = next(&database, &start).await;
    database.roll_back(lost).await;
    let connection = database.connection_of(&mut cut_off).await;
    database.end_connection(connection).await;
    staged_and_committed(&database, "kept").await;
    assert_eq!(keys(&database, &next(&database, &start).await).await, ["kept"]);
    assert_eq!(keys(&database, &next(&database, &first).await).await, ["kept"]);
    database.roll_back(cut_off).await;
}

async fn a_window_goes_on_behind_what_was_acknowledged<D: Staging>(database: D) {
    let start = beginning(&database).await;
    for key in ["a", "b", "c"] {
        staged_and_committed(&database, key).await;
    }
    let window = next(&database, &start).await;
    let all = events(&database, &window, 0).await;
    let rest = events(&database, &window, all[0].id).await;
    let rest: Vec<&str> = rest.iter().map(|event| event.record_key.as_str()).collect();
    assert_eq!(rest, ["b", "c"]);
}

async fn events_come_as_they_were_staged<D: Staging>(database: D) {
    let start = beginning(&database).await;
    let mut first = staging(&database, "a1").await;
    let mut second = staging(&database, "b1").await;
    stage(&database, &mut first, "a2").await;
    stage(&database, &mut second, "b2").await;
    database.commit(second).await.expect("committed");
    database.commit(first).await.expect("committed");
    let window = next(&database, &start).await;
    assert_eq!(keys(&database, &window).await, ["a1", "b1", "a2", "b2"]);
}

async fn events_of_a_key_keep_the_order_of_its_lock<D: Staging>(database: D) {
    database.make_rows(&["key"]).await;
    let start = beginning(&database).await;
    // It begins first, and so has the lower id of the two; the other one gets the key's lock first.
    let mut late = staging(&database, "another key").await;
    let mut early = database.client().begin().await.expect("a transaction");
    database.lock(&mut early, "key").await.expect("nobody holds it");
    stage(&database, &mut early, "key: first").await;
    let client = database.client();
    let waiting = async move {
        client.lock(&mut late, "key").await.expect("in its turn");
        stage(&client, &mut late, "key: second").await;
        client.commit(late).await.expect("committed");
    };
    let waiting = crate::testing::begin_to_wait(&database, waiting).await;
    database.commit(early).await.expect("committed");
    crate::testing::goes_on(waiting).await;
    let published = keys(&database, &next(&database, &start).await).await;
    assert_eq!(published, ["another key", "key: first", "key: second"]);
}

async fn one_relay_at_a_time_and_an_old_one_saves_nothing<D: Staging>(database: D) {
    let first = acquire(&database, "one").await.expect("the lease");
    assert!(acquire(&database, "two").await.is_none());
    assert!(renew(&database, &first).await);
    // The first one falls silent until its lease has run out, by the database's clock.
    database.let_pass(LEASE + Duration::seconds(1)).await;
    let second = acquire(&database, "two").await.expect("the lease");
    assert!(second.epoch > first.epoch);
    let mut far = first.clone();
    far.progress.after = 99;
    assert!(!renew(&database, &far).await, "the old one is told");
    database.relay().release(&far).await.expect("an answer");
    assert!(acquire(&database, "three").await.is_none(), "and gives nothing back");
    database.relay().release(&second).await.expect("released");
    let third = acquire(&database, "three").await.expect("the lease");
    assert_eq!(third.progress, first.progress);
}

async fn a_lease_that_is_kept_is_not_taken<D: Staging>(database: D) {
    let first = acquire(&database, "one").await.expect("the lease");
    for _ in 0..3 {
        database.let_pass(LEASE - Duration::seconds(60)).await;
        assert!(acquire(&database, "two").await.is_none());
        assert!(renew(&database, &first).await);
    }
    database.let_pass(LEASE + Duration::seconds(1)).await;
    assert!(acquire(&database, "two").await.is_some());
}

async fn a_lease_that_ran_out_is_kept_until_somebody_takes_it<D: Staging>(database: D) {
    let first = acquire(&database, "one").await.expect("the lease");
    database.let_pass(LEASE * 3).await;
    assert!(renew(&database, &first).await, "nobody wanted it");
    assert!(acquire(&database, "two").await.is_none());
}

async fn whoever_has_the_lease_gets_it_again_under_another_epoch<D: Staging>(database: D) {
    let first = acquire(&database, "one").await.expect("the lease");
    let again = acquire(&database, "one").await.expect("the lease");
    assert_eq!(again.epoch, first.epoch + 1);
    assert!(!renew(&database, &first).await, "what it began before is over");
    assert!(renew(&database, &again).await);
}

async fn a_lease_that_was_given_back_is_free_at_once<D: Staging>(database: D) {
    let first = acquire(&database, "one").await.expect("the lease");
    database.relay().release(&first).await.expect("released");
    let second = acquire(&database, "two").await.expect("the lease");
    assert_eq!(second.epoch, first.epoch + 1);
}

async fn a_lease_of_a_clock_that_was_far_ahead_is_free<D: Staging>(database: D) {
    let first = acquire(&database, "one").await.expect("the lease");
    // Somewhat ahead: it is waited for.
    database.let_pass(LEASE * -8).await;
    assert!(acquire(&database, "two").await.is_none());
    // Nobody can have asked for so long a lease.
    database.let_pass(LEASE * -3).await;
    let second = acquire(&database, "two").await.expect("the lease");
    assert!(!renew(&database, &first).await);
    assert!(
        acquire(&database, "three").await.is_none(),
        "and it is a lease like any other"
    );
    assert!(renew(&database, &second).await);
}

async fn the_next_relay_goes_on_where_the_progress_was_saved<D: Staging>(database: D) {
    let mut first = acquire(&database, "one").await.expect("the lease");
    for key in ["a", "b", "c"] {
        staged_and_committed(&database, key).await;
    }
    let window = Window {
        start: first.progress.published.clone(),
        end: database.relay().current_snapshot().await.expect("a snapshot"),
    };
    let all = events(&database, &window, 0).await;
    first.progress.move_to(&window, &all[..2]);
    database.relay().release(&first).await.expect("released");
    staged_and_committed(&database, "of the next window").await;

    let second = acquire(&database, "two").await.expect("the lease");
    assert_eq!(second.progress, first.progress);
    let unfinished = second.progress.unfinished().expect("a window");
    let rest = events(&database, &unfinished, second.progress.after).await;
    let rest: Vec<&str> = rest.iter().map(|event| event.record_key.as_str()).collect();
    assert_eq!(rest, ["c"]);
    let after_it = next(&database, &unfinished).await;
    assert_eq!(keys(&database, &after_it).await, ["of the next window"]);
}

async fn what_was_published_without_being_saved_is_published_again<D: Staging>(database: D) {
    let mut first = acquire(&database, "one").await.expect("the lease");
    staged_and_committed(&database, "a").await;
    let window = Window {
        start: first.progress.published.clone(),
        end: database.relay().current_snapshot().await.expect("a snapshot"),
    };
    let all = events(&database, &window, 0).await;
    first.progress.move_to(&window, &all);
    // It dies before it has saved that.
    database.let_pass(LEASE + Duration::seconds(1)).await;
    let second = acquire(&database, "two").await.expect("the lease");
    let window = next(
        &database,
        &Window {
            start: second.progress.published.clone(),
            end: second.progress.published.clone(),
        },
    )
    .await;
    assert_eq!(keys(&database, &window).await, ["a"]);
}
