//! A service as small as one can be: adds numbers up per key, and tells each new sum.
//!
//! It knows one rule (no negative numbers), one bug (it panics at 13) and one constraint of its table (sums below
//! 1,000), so that every way of failing can be tried.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use streams::event::{BoxFuture, DeserializeError, Deserializer, Event, LearnError, SerializeError, Serializer};
use streams::{Forward, MemoryTx, PgTx, Processor, Record, Reject, Sink, Source, StateStore, StoreError, Topology};
use uuid::Uuid;

pub(crate) const NUMBERS: &str = "numbers";
pub(crate) const SUMS: &str = "sums";
pub(crate) const SUM_MAX: i64 = 1_000;

/// Both the input (a number) and the output (a sum).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) event_id: Uuid,
    pub(crate) key: String,
    pub(crate) value: i64,
}

impl Counted {
    pub(crate) fn new(key: &str, value: i64) -> Self {
        Self {
            event_id: Uuid::now_v7(),
            key: key.to_owned(),
            value,
        }
    }
}

impl Event for Counted {
    const TYPE: &'static str = "tally.counted";

    fn event_id(&self) -> Uuid {
        self.event_id
    }
    fn key(&self) -> String {
        self.key.clone()
    }
    fn subject(&self) -> String {
        self.key.clone()
    }
    fn time(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

/// JSON; a value that begins with `?` names a schema that has to be learnt first.
#[derive(Debug, Default)]
pub(crate) struct Json {
    learnt: Mutex<Vec<u32>>,
    /// What the registry answers to the next questions; at the end of the list it knows every schema.
    pub(crate) registry: Mutex<Vec<LearnError>>,
}

impl Serializer<Counted> for Json {
    fn serialize(&self, event: &Counted) -> Result<Vec<u8>, SerializeError> {
        serde_json::to_vec(event).map_err(|error| SerializeError(error.to_string()))
    }
}

impl Deserializer<Counted> for Json {
    fn deserialize(&self, bytes: &[u8]) -> Result<Counted, DeserializeError> {
        let rest = bytes.strip_prefix(b"?");
        if rest.is_some() && self.learnt.lock().expect("no panic").is_empty() {
            return Err(DeserializeError::UnknownSchema(7));
        }
        let json = rest.unwrap_or(bytes);
        serde_json::from_slice(json).map_err(|error| DeserializeError::Malformed(error.to_string()))
    }

    fn learn_schema(&self, id: u32) -> BoxFuture<'_, Result<(), LearnError>> {
        let answer = self.registry.lock().expect("no panic").pop();
        let answer = answer.map_or_else(
            || {
                self.learnt.lock().expect("no panic").push(id);
                Ok(())
            },
            Err,
        );
        Box::pin(async { answer })
    }
}

/// Sums per key.
#[derive(Debug, Default)]
pub(crate) struct Sums(HashMap<String, i64>);

#[derive(Debug)]
pub(crate) struct Tally;

impl Processor for Tally {
    const NAME: &'static str = "tally";
    type Input = Counted;
    type Output = Counted;
    type State = Sums;

    fn process(&self, record: &Record<Counted>, state: &mut Sums, out: &mut Forward<Counted>) -> Result<(), Reject> {
        let number = &record.event;
        let sum = state.0.entry(number.key.clone()).or_default();
        // Changed before the rule is checked, as a careless author would: a reject takes it back.
        *sum += number.value;
        assert!(number.value != 13, "unlucky");
        if number.value < 0 {
            return Err(Reject::invalid(format!("{} is negative", number.value)));
        }
        let told = Counted {
            event_id: out.next_event_id(),
            key: number.key.clone(),
            value: *sum,
        };
        out.forward(told);
        Ok(())
    }
}

pub(crate) fn topology<S>(store: S, codec: Arc<Json>) -> Topology<S::Tx>
where
    S: StateStore<Counted, State = Sums, Tx: 'static>,
{
    Topology::new("tally").process(
        Source::topic(NUMBERS, codec.clone()),
        Tally,
        store,
        Sink::topic(SUMS, codec),
    )
}

/// A look at a store's committed sums, in key order.
pub(crate) trait Committed {
    fn committed(&self) -> impl Future<Output = Vec<(String, i64)>>;
    /// Sets a sum past the processor, as an operator might.
    fn shrink(&self, key: &str, sum: i64) -> impl Future<Output = ()>;
}

/// Sums in memory, with the same constraint as the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemorySums(Arc<Mutex<HashMap<String, i64>>>);

impl StateStore<Counted> for MemorySums {
    type Tx = MemoryTx;
    type State = Sums;

    async fn load(&self, _tx: &mut MemoryTx, batch: &[&Record<Counted>]) -> Result<Sums, StoreError> {
        let sums = self.0.lock().expect("no panic");
        let find = |record: &&Record<Counted>| {
            let key = record.event.key.clone();
            sums.get(&key).map(|sum| (key, *sum))
        };
        Ok(Sums(batch.iter().filter_map(find).collect()))
    }

    async fn save(&self, tx: &mut MemoryTx, state: Sums) -> Result<(), StoreError> {
        if let Some((key, sum)) = state.0.iter().find(|(_, sum)| **sum >= SUM_MAX) {
            return Err(tx.refuse("could not save the sums", format!("{key}: {sum} is too large")));
        }
        let sums = self.0.clone();
        tx.on_commit(move || sums.lock().expect("no panic").extend(state.0));
        Ok(())
    }
}

impl Committed for MemorySums {
    async fn committed(&self) -> Vec<(String, i64)> {
        let mut sums: Vec<_> = self.0.lock().expect("no panic").clone().into_iter().collect();
        sums.sort();
        sums
    }

    async fn shrink(&self, key: &str, sum: i64) {
        self.0.lock().expect("no panic").insert(key.to_owned(), sum);
    }
}

/// Sums in a table.
#[derive(Clone, Debug)]
pub(crate) struct PgSums(pub(crate) sqlx::PgPool);

pub(crate) const TABLE: &str = "create table sums (key text primary key, sum bigint not null check (sum < 1000))";

impl StateStore<Counted> for PgSums {
    type Tx = PgTx;
    type State = Sums;

    async fn load(&self, tx: &mut PgTx, batch: &[&Record<Counted>]) -> Result<Sums, StoreError> {
        let keys: Vec<&str> = batch.iter().map(|record| record.event.key.as_str()).collect();
        let rows = sqlx::query("select key, sum from sums where key = any($1) order by key for update")
            .bind(keys)
            .fetch_all(&mut **tx)
            .await
            .map_err(|error| StoreError::from_sql("could not load the sums", error))?;
        Ok(Sums(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect()))
    }

    async fn save(&self, tx: &mut PgTx, state: Sums) -> Result<(), StoreError> {
        let (keys, sums): (Vec<String>, Vec<i64>) = state.0.into_iter().unzip();
        sqlx::query(
            "insert into sums select * from unnest($1::text[], $2::bigint[])
             on conflict (key) do update set sum = excluded.sum",
        )
        .bind(keys)
        .bind(sums)
        .execute(&mut **tx)
        .await
        .map_err(|error| StoreError::from_sql("could not save the sums", error))?;
        Ok(())
    }
}

impl Committed for PgSums {
    async fn committed(&self) -> Vec<(String, i64)> {
        let rows = sqlx::query_as("select key, sum from sums order by key");
        rows.fetch_all(&self.0).await.expect("the table can be read")
    }

    async fn shrink(&self, key: &str, sum: i64) {
        let shrink = sqlx::query("update sums set sum = $2 where key = $1")
            .bind(key)
            .bind(sum);
        shrink.execute(&self.0).await.expect("the table can be written");
    }
}
