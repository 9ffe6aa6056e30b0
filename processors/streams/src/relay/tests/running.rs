//! The relay as a whole: what a broker refused, and who is woken by whom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_kit::health::Health;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::stage;
use crate::relay::lease::acquire;
use crate::relay::wake::{CHANNEL, listen};
use crate::relay::{OutboxEvent, PgOutbox, Publish, PublishError, Publishers, Relay, RelayConfig};
use crate::testing::TestDatabase;

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
