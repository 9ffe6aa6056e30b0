//! Topping up, alone and beside charges, in memory and on Postgres: the same scenarios, the same results.

use futures_util::future::join_all;
use payments::{
    Attempt, ChargeAccount, Charging, MemoryCharging, MemoryTopUps, PgCharging, TopUp, TopUpAccounts, ToppedUp,
};
use schemas::{Balance, PaymentRequest};
use sqlx::PgPool;
use streams::request_keys::{Keyed, RequestKey};
use streams::testing::{TakeTurns, begin_to_wait, goes_on};
use streams::{
    Backend as _, CommitBatch, MemoryBackend, PgBackend, Processor as _, Record, StateStore, StoreError, TopicPartition,
};
use uuid::Uuid;

use crate::support::{Books, PgBooks, amount, balance, new_request, request};

/// A database of accounts, whichever it is.
trait Bank: Clone + Send + Sync + 'static {
    type Database: TakeTurns;
    type Store: StateStore<PaymentRequest, Tx = <Self::Database as streams::Backend>::Tx, State = Charging>;
    type TopUps: CommitBatch<Request = TopUp, Answer = Keyed<ToppedUp>>;
    type Books: Books;

    fn database(&self) -> Self::Database;
    /// What a processor charges with.
    fn store(&self) -> Self::Store;
    /// What another replica of the front tops up with.
    fn top_ups(&self) -> Self::TopUps;
    fn books(&self) -> Self::Books;
    /// The ledger's top-ups: user, version and balance after each.
    async fn lines(&self) -> Vec<(String, i64, Balance)>;
}

#[derive(Clone, Debug, Default)]
struct InMemory(MemoryBackend, MemoryCharging);

impl Bank for InMemory {
    type Database = MemoryBackend;
    type Store = MemoryCharging;
    type TopUps = MemoryTopUps;
    type Books = MemoryCharging;

    fn database(&self) -> MemoryBackend {
        self.0.clone()
    }

    fn store(&self) -> MemoryCharging {
        self.1.clone()
    }

    fn top_ups(&self) -> MemoryTopUps {
        MemoryTopUps::new(self.0.client(), self.1.clone())
    }

    fn books(&self) -> MemoryCharging {
        self.1.clone()
    }

    async fn lines(&self) -> Vec<(String, i64, Balance)> {
        let lines = self.1.top_ups().into_iter();
        let mut lines: Vec<_> = lines.map(|(_, user, version, after)| (user, version, after)).collect();
        lines.sort();
        lines
    }
}

impl Bank for PgPool {
    type Database = PgBackend;
    type Store = PgCharging;
    type TopUps = TopUpAccounts;
    type Books = PgBooks;

    fn database(&self) -> PgBackend {
        PgBackend::new(self.clone())
    }

    fn store(&self) -> PgCharging {
        PgCharging
    }

    fn top_ups(&self) -> TopUpAccounts {
        TopUpAccounts::new(self.clone())
    }

    fn books(&self) -> PgBooks {
        PgBooks(self.clone())
    }

    async fn lines(&self) -> Vec<(String, i64, Balance)> {
        let rows: Vec<(String, i64, rust_decimal::Decimal)> = sqlx::query_as(
            "select user_id, version, balance_after from ledger where kind = 'topup' order by user_id, version",
        )
        .fetch_all(self)
        .await
        .expect("the ledger can be read");
        let line = |(user, version, after)| (user, version, Balance::from_decimal(after).expect("in range"));
        rows.into_iter().map(line).collect()
    }
}

/// Runs each scenario on a fresh database of each kind, as two tests.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(super::$name(super::InMemory::default()));
            })*
        }
        mod postgres {
            $(#[test] fn $name() {
                let database = streams::testing::TestDatabase::create(&[&payments::MIGRATOR]);
                database.block_on(super::$name(database.pool().clone()));
            })*
        }
    };
}

on_both! {
    top_ups_of_a_batch_are_decided_in_order
    a_top_up_that_is_committed_twice_adds_once
    a_top_up_that_is_committed_by_two_at_once_adds_once
    copies_under_one_key_add_once_wherever_they_meet
    a_key_belongs_to_its_user
    a_key_remembers_that_there_was_no_account
    batches_at_the_same_time_lose_no_top_up
    a_top_up_waits_for_a_charge_and_adds_to_what_it_left
    a_charge_waits_for_a_charge_of_the_same_account
    a_charge_that_was_rolled_back_took_nothing
    two_decisions_for_one_order_are_one
    a_decision_for_an_order_whose_other_one_was_rolled_back_stands
}

fn top_up(user: &str, text: &str, key: Option<&str>) -> TopUp {
    let key = key.map(|key| RequestKey {
        scope: user.to_owned(),
        route: "POST /accounts/topup",
        key: key.to_owned(),
        fingerprint: text.as_bytes().to_vec(),
    });
    TopUp {
        line_id: Uuid::now_v7(),
        user_id: user.to_owned(),
        amount: amount(text),
        key,
    }
}

/// The balances after each top-up, or what was answered instead.
fn balances(answers: Result<Vec<Keyed<ToppedUp>>, StoreError>) -> Vec<Result<Balance, ToppedUp>> {
    let of = |account: Result<(i64, Balance), ToppedUp>| account.map(|(_, balance)| balance);
    accounts(answers).into_iter().map(of).collect()
}

/// The same, with the accounts' versions.
fn accounts(answers: Result<Vec<Keyed<ToppedUp>>, StoreError>) -> Vec<Result<(i64, Balance), ToppedUp>> {
    let account = |answer| match answer {
        Keyed::First(ToppedUp::Done(view)) | Keyed::Replayed(ToppedUp::Done(view)) => Ok((view.version, view.balance)),
        Keyed::First(other) | Keyed::Replayed(other) => Err(other),
        other @ (Keyed::KeyReused | Keyed::InProgress) => panic!("{other:?}"),
    };
    answers.expect("committed").into_iter().map(account).collect()
}

async fn top_ups_of_a_batch_are_decided_in_order<B: Bank>(bank: B) {
    bank.books().open("alice", "0.00").await;
    bank.books().open("bob", "0.00").await;
    let batch = [
        top_up("alice", "9999999999999.00", None),
        top_up("bob", "1.00", None),
        top_up("alice", "1.00", None),
        top_up("alice", "0.99", None),
        top_up("nobody", "1.00", None),
        top_up("bob", "2.00", None),
    ];
    let expected = [
        Ok(balance("9999999999999.00")),
        Ok(balance("1.00")),
        Err(ToppedUp::BalanceLimitExceeded),
        Ok(balance("9999999999999.99")),
        Err(ToppedUp::AccountNotFound),
        Ok(balance("3.00")),
    ];
    assert_eq!(balances(bank.top_ups().commit(&batch).await), expected);
    let account = bank.books().account("alice").await;
    assert_eq!(account, Some((balance("9999999999999.99"), 3)));
    let line = |user: &str, version, after| (user.to_owned(), version, balance(after));
    let expected = [
        line("alice", 2, "9999999999999.00"),
        line("alice", 3, "9999999999999.99"),
        line("bob", 2, "1.00"),
        line("bob", 3, "3.00"),
    ];
    assert_eq!(bank.lines().await, expected);
}

async fn a_top_up_that_is_committed_twice_adds_once<B: Bank>(bank: B) {
    bank.books().open("alice", "0.00").await;
    let batch = [top_up("alice", "5.00", None), top_up("alice", "5.00", Some("k"))];
    let expected = [Ok((2, balance("5.00"))), Ok((3, balance("10.00")))];
    for _ in 0..3 {
        assert_eq!(accounts(bank.top_ups().commit(&batch).await), expected);
    }
    assert_eq!(bank.lines().await.len(), 2);
    assert_eq!(bank.books().account("alice").await, Some((balance("10.00"), 3)));
}

async fn a_top_up_that_is_committed_by_two_at_once_adds_once<B: Bank>(bank: B) {
    bank.books().open("alice", "0.00").await;
    let batch = [top_up("alice", "5.00", None), top_up("alice", "7.00", None)];
    // The first try was given up on, and is still under way when the next one comes.
    let tries = (0..4).map(|_| {
        let (top_ups, batch) = (bank.top_ups(), batch.clone());
        async move { balances(top_ups.commit(&batch).await) }
    });
    for answer in join_all(tries).await {
        assert_eq!(answer, [Ok(balance("5.00")), Ok(balance("12.00"))]);
    }
    assert_eq!(bank.books().account("alice").await, Some((balance("12.00"), 3)));
}

async fn copies_under_one_key_add_once_wherever_they_meet<B: Bank>(bank: B) {
    bank.books().open("alice", "0.00").await;
    let tries = (0..6).map(|_| {
        let (top_ups, one) = (bank.top_ups(), top_up("alice", "5.00", Some("k")));
        async move { top_ups.commit(&[one]).await.expect("committed") }
    });
    let answers = join_all(tries).await.concat();
    let is_first = |answer: &&Keyed<ToppedUp>| matches!(answer, Keyed::First(_));
    assert_eq!(answers.iter().filter(is_first).count(), 1, "{answers:?}");
    assert!(!answers.contains(&Keyed::KeyReused), "{answers:?}");
    let other = bank.top_ups().commit(&[top_up("alice", "6.00", Some("k"))]).await;
    assert_eq!(other.expect("answered"), [Keyed::KeyReused]);
    assert_eq!(bank.books().account("alice").await, Some((balance("5.00"), 2)));
}

async fn a_key_belongs_to_its_user<B: Bank>(bank: B) {
    bank.books().open("alice", "0.00").await;
    bank.books().open("bob", "1.00").await;
    let batch = [top_up("alice", "5.00", Some("k")), top_up("bob", "5.00", Some("k"))];
    let expected = [Ok(balance("5.00")), Ok(balance("6.00"))];
    assert_eq!(balances(bank.top_ups().commit(&batch).await), expected);
}

async fn a_key_remembers_that_there_was_no_account<B: Bank>(bank: B) {
    let first = bank.top_ups().commit(&[top_up("late", "5.00", Some("k"))]).await;
    assert_eq!(balances(first), [Err(ToppedUp::AccountNotFound)]);
    bank.books().open("late", "0.00").await;
    let again = bank.top_ups().commit(&[top_up("late", "5.00", Some("k"))]).await;
    assert_eq!(again.expect("answered"), [Keyed::Replayed(ToppedUp::AccountNotFound)]);
    let other = bank.top_ups().commit(&[top_up("late", "5.00", Some("k2"))]).await;
    assert_eq!(balances(other), [Ok(balance("5.00"))]);
}

async fn batches_at_the_same_time_lose_no_top_up<B: Bank>(bank: B) {
    for user in ["alice", "bob", "carol"] {
        bank.books().open(user, "0.00").await;
    }
    let work = (0..6).map(|number| {
        let top_ups = bank.top_ups();
        async move {
            // Each in another sequence: whoever locked in the sequence of the requests would wait in a ring.
            let mut users = ["alice", "bob", "carol"];
            users.rotate_left(number % 3);
            for _ in 0..20 {
                let batch = users.map(|user| top_up(user, "0.10", None));
                top_ups.commit(&batch).await.expect("committed");
            }
        }
    });
    join_all(work).await;
    for user in ["alice", "bob", "carol"] {
        let account = bank.books().account(user).await;
        assert_eq!(account, Some((balance("12.00"), 121)), "{user}");
    }
}

fn record(event: PaymentRequest) -> Record<PaymentRequest> {
    Record {
        event,
        source: TopicPartition::new(PaymentRequest::TOPIC, 0),
        offset: 0,
        traceparent: None,
        appended_at: None,
    }
}

/// Loads what a request is decided on; the account is locked from then on.
async fn load<B: Bank>(bank: &B, request: &PaymentRequest) -> (<B::Database as streams::Backend>::Tx, Charging) {
    let mut tx = bank.database().client().begin().await.expect("a transaction");
    let state = bank.store().load(&mut tx, &[&record(request.clone())]).await;
    (tx, state.expect("loaded"))
}

/// Decides a request and writes the decision; not yet committed.
async fn decide<B: Bank>(
    bank: &B,
    tx: &mut <B::Database as streams::Backend>::Tx,
    mut state: Charging,
    request: &PaymentRequest,
) -> Result<Attempt, StoreError> {
    let mut out = streams::testing::forward(request.event_id);
    let decided = ChargeAccount.process(&record(request.clone()), &mut state, &mut out);
    decided.expect("it can be decided");
    let attempt = state.attempts[&request.order_id].clone();
    bank.store().save(tx, state).await.map(|()| attempt)
}

/// Charges in a transaction of its own.
async fn charge<B: Bank>(bank: B, request: PaymentRequest) -> Result<Attempt, StoreError> {
    let (mut tx, state) = load(&bank, &request).await;
    let attempt = decide(&bank, &mut tx, state, &request).await?;
    bank.database().commit(tx).await.expect("committed");
    Ok(attempt)
}

async fn a_top_up_waits_for_a_charge_and_adds_to_what_it_left<B: Bank>(bank: B) {
    bank.books().open("alice", "10.00").await;
    let asked = new_request("alice", "4.00");
    let (mut tx, state) = load(&bank, &asked).await;
    let top_ups = bank.top_ups();
    let step = async move { top_ups.commit(&[top_up("alice", "1.00", None)]).await };
    let topped_up = begin_to_wait(&bank.database(), step).await;
    let attempt = decide(&bank, &mut tx, state, &asked).await.expect("saved");
    assert_eq!((attempt.declined, attempt.account_version), (None, Some(2)));
    bank.database().commit(tx).await.expect("committed");
    assert_eq!(balances(goes_on(topped_up).await), [Ok(balance("7.00"))]);
    assert_eq!(bank.books().account("alice").await, Some((balance("7.00"), 3)));
}

async fn a_charge_waits_for_a_charge_of_the_same_account<B: Bank>(bank: B) {
    bank.books().open("alice", "10.00").await;
    let asked = new_request("alice", "6.00");
    let (mut tx, state) = load(&bank, &asked).await;
    let second = charge(bank.clone(), new_request("alice", "6.00"));
    let second = begin_to_wait(&bank.database(), second).await;
    decide(&bank, &mut tx, state, &asked).await.expect("saved");
    bank.database().commit(tx).await.expect("committed");
    let second = goes_on(second).await.expect("decided");
    assert_eq!(second.declined.as_deref(), Some("insufficient_funds"));
    assert_eq!(bank.books().account("alice").await, Some((balance("4.00"), 2)));
}

async fn a_charge_that_was_rolled_back_took_nothing<B: Bank>(bank: B) {
    bank.books().open("alice", "10.00").await;
    let asked = new_request("alice", "6.00");
    let (mut tx, state) = load(&bank, &asked).await;
    decide(&bank, &mut tx, state, &asked).await.expect("saved");
    let second = charge(bank.clone(), new_request("alice", "6.00"));
    let second = begin_to_wait(&bank.database(), second).await;
    bank.database().roll_back(tx).await;
    assert_eq!(goes_on(second).await.expect("decided").declined, None);
    assert_eq!(bank.books().attempt(asked.order_id).await, None);
    assert_eq!(bank.books().account("alice").await, Some((balance("4.00"), 2)));
}

/// One order under two events, of a user whose account no two can meet at: there is none. The second decision meets
/// the first one at the order's attempt.
async fn meet<B: Bank>(bank: &B, is_committed: bool) -> (Uuid, Result<Attempt, StoreError>) {
    let order_id = Uuid::now_v7();
    let asked = request(order_id, "nobody", "6.00");
    let (mut tx, state) = load(bank, &asked).await;
    decide(bank, &mut tx, state, &asked).await.expect("saved");
    let second = charge(bank.clone(), request(order_id, "nobody", "6.00"));
    let second = begin_to_wait(&bank.database(), second).await;
    if is_committed {
        bank.database().commit(tx).await.expect("committed");
    } else {
        bank.database().roll_back(tx).await;
    }
    (order_id, goes_on(second).await)
}

async fn two_decisions_for_one_order_are_one<B: Bank>(bank: B) {
    let (order_id, second) = meet(&bank, true).await;
    assert!(matches!(second, Err(StoreError::Record { .. })), "{second:?}");
    let attempt = bank.books().attempt(order_id).await;
    assert_eq!(attempt, Some(Some("account_not_found".to_owned())));
}

async fn a_decision_for_an_order_whose_other_one_was_rolled_back_stands<B: Bank>(bank: B) {
    let (order_id, second) = meet(&bank, false).await;
    assert_eq!(second.expect("decided").declined.as_deref(), Some("account_not_found"));
    let attempt = bank.books().attempt(order_id).await;
    assert_eq!(attempt, Some(Some("account_not_found".to_owned())));
}
