//! The load: clients that each do one thing after the other, and ask again under the same key until they are answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use platform_tests::{Answer, Client, send};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

const CLIENTS: u64 = 8;
const USERS: usize = 20;
/// A client breathes: the machine is the platform's, and what is left open at the end has to be worked off.
const PAUSE: Duration = Duration::from_millis(10);
/// While everything dies all the time, on a machine that is busy, a client may have to ask very often.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// What the clients have been promised.
#[derive(Debug, Default)]
pub struct Promises {
    /// Orders that were answered 201, by their ids.
    pub orders: Mutex<Vec<(Uuid, String)>>,
    /// Top-ups that were answered, by user.
    pub top_ups: Mutex<HashMap<String, i64>>,
    /// Requests that were answered.
    pub answered: AtomicU64,
    /// Attempts without an answer, or with 5xx; each was repeated.
    pub failed_attempts: AtomicU64,
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    /// What they have been promised so far.
    pub promises: Arc<Promises>,
    /// Who orders.
    pub users: Vec<String>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// Opens accounts, and starts the clients.
    ///
    /// # Errors
    /// A request is refused.
    pub async fn start(client: &Client, seed: u64) -> anyhow::Result<Self> {
        let promises: Arc<Promises> = Arc::default();
        let is_over: Arc<AtomicBool> = Arc::default();
        let run = Uuid::new_v4().simple().to_string();
        let users: Vec<String> = (0..USERS).map(|number| format!("chaos-{number}-{run}")).collect();
        let mut first = One::new(client, &promises, &users, seed);
        for user in &users {
            first.open(user).await?;
            first.top_up(user, 100).await?;
        }
        let mut clients = JoinSet::new();
        for number in 1..=CLIENTS {
            let one = One::new(client, &promises, &users, seed.wrapping_add(number));
            clients.spawn(one.work(is_over.clone()));
        }
        Ok(Self {
            promises,
            users,
            is_over,
            clients,
        })
    }

    /// Lets each client finish what it is at: every request that was ever sent has been answered then.
    ///
    /// # Errors
    /// One was refused, or never answered.
    pub async fn finish(mut self) -> anyhow::Result<(Arc<Promises>, Vec<String>)> {
        self.is_over.store(true, Ordering::Release);
        while let Some(client) = self.clients.join_next().await {
            client??;
        }
        Ok((self.promises, self.users))
    }
}

/// One client.
struct One {
    client: Client,
    promises: Arc<Promises>,
    users: Vec<String>,
    rng: fastrand::Rng,
}

impl One {
    fn new(client: &Client, promises: &Arc<Promises>, users: &[String], seed: u64) -> Self {
        Self {
            client: client.clone(),
            promises: promises.clone(),
            users: users.to_vec(),
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    async fn work(mut self, is_over: Arc<AtomicBool>) -> anyhow::Result<()> {
        while !is_over.load(Ordering::Acquire) {
            let chosen = self.rng.usize(..self.users.len());
            let user = self.users[chosen].clone();
            match self.rng.u8(..10) {
                0 => {
                    let newcomer = format!("{user}-{}", self.rng.u32(..));
                    self.open(&newcomer).await?;
                }
                1 | 2 => self.top_up(&user, 30).await?,
                3 => self.look(&user).await?,
                _ => self.order(&user).await?,
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn order(&mut self, user: &str) -> anyhow::Result<()> {
        let answer = self.ask("/orders", user, Some(&json!({ "amount": "10.00" }))).await?;
        let id = answer.text("id").parse().context("an order's id")?;
        let mut orders = self.promises.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push((id, user.to_owned()));
        Ok(())
    }

    async fn top_up(&mut self, user: &str, amount: i64) -> anyhow::Result<()> {
        let body = json!({ "amount": format!("{amount}.00") });
        self.ask("/accounts/topup", user, Some(&body)).await?;
        let mut top_ups = self.promises.top_ups.lock().unwrap_or_else(PoisonError::into_inner);
        *top_ups.entry(user.to_owned()).or_default() += amount;
        Ok(())
    }

    async fn open(&mut self, user: &str) -> anyhow::Result<()> {
        self.ask("/accounts", user, None).await?;
        Ok(())
    }

    async fn look(&mut self, user: &str) -> anyhow::Result<()> {
        let until = Instant::now() + ANSWER_LIMIT;
        loop {
            if let Some(answer) = self
                .heard(self.client.get("/orders?limit=5", user).await, until)
                .await?
            {
                return answered(&answer);
            }
        }
    }

    /// Asks until there is an answer, each time under the same key.
    async fn ask(&mut self, path: &str, user: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let key = Uuid::new_v4().to_string();
        let until = Instant::now() + ANSWER_LIMIT;
        loop {
            let request = self.client.request(Method::POST, path);
            let mut request = request.header("X-User-Id", user).header("Idempotency-Key", &key);
            if let Some(body) = body {
                request = request.json(body);
            }
            let tried = send(request).await;
            if let Some(answer) = self.heard(tried, until).await? {
                answered(&answer)?;
                return Ok(answer);
            }
        }
    }

    /// The answer, if it is one; after a pause nothing, if it is to be asked for again.
    async fn heard(&self, tried: anyhow::Result<Answer>, until: Instant) -> anyhow::Result<Option<Answer>> {
        match tried {
            // 409: another copy of this very request is still at work.
            Ok(answer) if !answer.status.is_server_error() && answer.status != StatusCode::CONFLICT => {
                self.promises.answered.fetch_add(1, Ordering::Relaxed);
                Ok(Some(answer))
            }
            other if Instant::now() > until => bail!("no answer within {ANSWER_LIMIT:?}: {other:?}"),
            _ => {
                self.promises.failed_attempts.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(100)).await;
                Ok(None)
            }
        }
    }
}

fn answered(answer: &Answer) -> anyhow::Result<()> {
    if answer.status.is_success() {
        return Ok(());
    }
    bail!("refused: {answer:?}")
}
