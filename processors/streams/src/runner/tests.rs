//! What the runner takes in hand, and when it lets go of it, on a real Postgres.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use event::{BoxFuture, DeserializeError, Deserializer, LearnError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::backend::{Backend as _, PgBackend, PgTx};
use crate::batch::{BatchRunner, Epochs};
use crate::clock::Clock;
use crate::processor::{Forward, NoOutput, Processor, Reject};
use crate::record::{RawRecord, Record, TopicPartition};
use crate::state_store::{StateStore, StoreError};
use crate::testing::TestDatabase;
use crate::topology::{Source, Topology};

/// Reads nothing: every record is parked.
struct Nothing;

impl Deserializer<NoOutput> for Nothing {
    fn deserialize(&self, _: &[u8]) -> Result<NoOutput, DeserializeError> {
        Err(DeserializeError::Malformed("a test".to_owned()))
    }

    fn learn_schema(&self, _: u32) -> BoxFuture<'_, Result<(), LearnError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Processor for Nothing {
    const NAME: &'static str = "nothing";
    type Input = NoOutput;
    type Output = NoOutput;
    type State = ();

    fn process(&self, record: &Record<NoOutput>, (): &mut (), _: &mut Forward<NoOutput>) -> Result<(), Reject> {
        match record.event {}
    }
}

impl StateStore<NoOutput> for Nothing {
    type Tx = PgTx;
    type State = ();

    async fn load(&self, _: &mut PgTx, _: &[&Record<NoOutput>]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn save(&self, _: &mut PgTx, (): ()) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Gives the first record, and the others once the runner has met trouble; then it stops the runner.
struct OneByOne {
    source: TopicPartition,
    epochs: Epochs,
    status: RunnerStatus,
    stopping: CancellationToken,
    left: RefCell<Vec<i64>>,
}

impl Consumer for OneByOne {
    async fn poll_batch(&self, _: usize, _: Duration) -> PolledBatch {
        let is_first = self.left.borrow().len() == 3;
        if !is_first && self.status.state() != RunnerState::Paused && !self.left.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            return PolledBatch::default();
        }
        let Some(offset) = self.left.borrow_mut().pop() else {
            self.stopping.cancel();
            return PolledBatch::default();
        };
        PolledBatch {
            records: vec![RawRecord {
                source: self.source.clone(),
                offset,
                key: None,
                value: Some(vec![7]),
                headers: Vec::new(),
                appended_at: None,
            }],
            epochs: self.epochs.clone(),
            rewinds: Vec::new(),
        }
    }

    async fn serve_for(&self, timeout: Duration) -> bool {
        tokio::time::sleep(timeout).await;
        true
    }

    async fn rejoin(&self) -> Result<(), String> {
        Ok(())
    }

    fn group_state(&self) -> GroupState {
        GroupState {
            broker_up: true,
            joined: true,
        }
    }

    fn epochs(&self) -> Epochs {
        self.epochs.clone()
    }

    async fn close(self) {}
}

/// Letters can be parked, and whoever looks for those that are due waits for longer than lies between two looks, in vain.
const LOOKS_TAKE_TOO_LONG: &str = "
    alter table streams.dead_letter rename to letter;
    create function streams.too_slow(bigint) returns bigint language plpgsql as $$
    begin perform pg_sleep(0.6); raise exception 'too slow'; end $$;
    create view streams.dead_letter as
    select streams.too_slow(id) as id, subscription_id, partition, \"offset\", record_key, record_value, headers, event_id,
           stage, state, holds_key, cause, reason_code from streams.letter";

#[test]
fn new_records_do_not_wait_for_letters_that_cannot_be_looked_at() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let (backend, source) = (PgBackend::new(pool.clone()), TopicPartition::new("numbers", 0));
        let topology =
            Topology::new("reader").process_to_end(Source::topic("numbers", Arc::new(Nothing)), Nothing, Nothing);
        let claims = backend
            .claim("reader", std::slice::from_ref(&source))
            .await
            .expect("claimed");
        sqlx::raw_sql(LOOKS_TAKE_TOO_LONG).execute(pool).await.expect("slow");
        let (status, stopping) = (RunnerStatus::new(Arc::new(|_, _| ())), CancellationToken::new());
        let consumer = OneByOne {
            source,
            epochs: claims.into_iter().map(|claim| (claim.source, claim.epoch)).collect(),
            status: status.clone(),
            stopping: stopping.clone(),
            left: RefCell::new(vec![2, 1, 0]),
        };
        let runner = Runner {
            batches: BatchRunner::new(backend, topology),
            staged: Arc::new(Notify::new()),
            status,
            stopping,
            clock: Clock::new(Utc::now),
            batch_max_records: 10,
        };
        let consumed = tokio::time::timeout(Duration::from_secs(30), runner.consume(consumer)).await;
        consumed.expect("it goes on").expect("nobody has expelled it");
        let next: i64 = sqlx::query_scalar("select next_offset from streams.consumer_position")
            .fetch_one(pool)
            .await
            .expect("a position");
        assert_eq!(next, 3);
    });
}
