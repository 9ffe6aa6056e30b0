//! What some points need before anybody passes them, and no load makes by itself: bad records, letters that are tried
//! again, a log that is shorter than its readers' positions, a COMMIT whose answer is lost.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use fault_proxy::{Fault, FaultProxy};
use kassa::stack::{Database, Name, Role, Settings};
use platform_tests::{Client, Tables, produce, send};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use tokio::runtime::Handle;
use uuid::Uuid;

/// How the keys of bad records begin.
pub(crate) const BAD_KEY: &str = "chaos-bad-";
/// The first byte of every event is 0.
const NO_EVENT: &[u8] = b"\x01 no event";
/// Some for every replica that owns partitions of the topic.
const BAD_RECORDS: usize = 4;

/// What `dead-letters replay` asks for; only of the latest, for each fails again and waits again.
const TRY_AGAIN: &str = "update streams.dead_letter set state = 'replaying', updated_at = now()
  where id in (select id from streams.dead_letter where state = 'pending' order by id desc limit 4)";

/// No topic here is so long.
pub(crate) const BEYOND_THE_END: i64 = 1_000_000;
/// As after a topic was made again; it takes effect when a partition is taken over. One row at a time, for processors
/// lock several of them in another order.
const MOVE_BEYOND_THE_END: &str = "update streams.consumer_position set next_offset = next_offset + $2
  where partition = $1 and next_offset between 1 and $2";
const PARTITIONS: i32 = 4;

/// Provokes what is asked for, from any thread.
#[derive(Debug)]
pub struct Provoker {
    // Dependencies.
    runtime: Handle,
    brokers: String,
    tables: Tables,
    /// To Postgres; each COMMIT that passes is the last that its client hears of.
    _deaf: FaultProxy,
    orders_url: String,
    // State.
    bad_keys: Mutex<Vec<(Name, String)>>,
}

impl Provoker {
    /// For the platform of `settings`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn new(settings: &Settings, tables: Tables) -> anyhow::Result<Self> {
        let postgres = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.ports.postgres));
        let deaf = FaultProxy::start((Ipv4Addr::LOCALHOST, 0).into(), postgres, 0).await?;
        deaf.inject(Fault::CutAfterCommit { every: 1 });
        let url = settings.database_url(Database::Orders, Role::App);
        let orders_url = url.replace(&postgres.to_string(), &deaf.address().to_string());
        Ok(Self {
            runtime: Handle::current(),
            brokers: settings.kafka_brokers(),
            tables,
            _deaf: deaf,
            orders_url,
            bad_keys: Mutex::default(),
        })
    }

    /// Before a process is started that is to die at `point`; what it is told beside.
    ///
    /// # Errors
    /// A database does not answer.
    pub(crate) fn before(&self, name: Name, point: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
        match step(point) {
            "rewind" => self.move_positions(self.tables_of(name))?,
            "place.find" => return Ok(vec![("KASSA_DATABASE_URL", self.orders_url.clone())]),
            _ => {}
        }
        Ok(Vec::new())
    }

    /// Once such a process listens, on `port`.
    ///
    /// # Errors
    /// Kafka or a database does not answer.
    pub(crate) fn meanwhile(&self, name: Name, port: u16, point: &str) -> anyhow::Result<()> {
        match step(point) {
            "place.find" => self.order_without_a_key(port),
            "letters.park" => self.publish_bad_records(name),
            "letters.settle" => {
                let letters = "select count(*) from streams.dead_letter";
                let pool = self.tables_of(name);
                if self.runtime.block_on(Tables::number(pool, letters))? == 0 {
                    self.publish_bad_records(name)?;
                }
                self.run(pool, TRY_AGAIN)
            }
            _ => Ok(()),
        }
    }

    /// The keys of the bad records that Kafka has taken, and who reads them.
    pub(crate) fn bad_keys(&self) -> Vec<(Name, String)> {
        self.bad_keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tables_of(&self, name: Name) -> &PgPool {
        if name == Name::OrdersProcessor {
            &self.tables.orders
        } else {
            &self.tables.payments
        }
    }

    fn run(&self, pool: &PgPool, statement: &'static str) -> anyhow::Result<()> {
        let done = self.runtime.block_on(sqlx::query(statement).execute(pool));
        done.map(|_| ()).context("a provocation")
    }

    fn move_positions(&self, pool: &PgPool) -> anyhow::Result<()> {
        for partition in 0..PARTITIONS {
            let moved = sqlx::query(MOVE_BEYOND_THE_END).bind(partition).bind(BEYOND_THE_END);
            self.runtime
                .block_on(moved.execute(pool))
                .context("a position that is wrong")?;
        }
        Ok(())
    }

    /// Under a key, what was committed would be found by the key. Nobody waits for the answer, for there will be none.
    fn order_without_a_key(&self, port: u16) -> anyhow::Result<()> {
        let client = Client::new(format!("http://127.0.0.1:{port}"))?;
        let request = client
            .request(Method::POST, "/orders")
            .header("X-User-Id", "chaos-without-a-key");
        self.runtime.spawn(send(request.json(&json!({ "amount": "1.00" }))));
        Ok(())
    }

    fn publish_bad_records(&self, name: Name) -> anyhow::Result<()> {
        let topic = if name == Name::OrdersProcessor {
            "payment-status"
        } else {
            "payment-request"
        };
        for _ in 0..BAD_RECORDS {
            let key = format!("{BAD_KEY}{}", Uuid::new_v4());
            let taken = produce(&self.brokers, topic, &key, Some(NO_EVENT), &[]);
            self.runtime.block_on(taken).context("a bad record")?;
            let mut bad_keys = self.bad_keys.lock().unwrap_or_else(PoisonError::into_inner);
            bad_keys.push((name, key));
        }
        Ok(())
    }
}

fn step(point: &str) -> &str {
    point.rsplit_once('.').map_or(point, |(step, _side)| step)
}
