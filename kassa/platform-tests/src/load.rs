//! Users who go on ordering while things break, and remember what they were answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use crate::client::{Answer, Client, send};
use crate::platform::Placed;

/// Longer than anything may take that is asked here.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(20);

/// Some users at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    users: Vec<JoinHandle<anyhow::Result<Tally>>>,
}

/// What they were answered.
#[derive(Debug, Default)]
pub struct Tally {
    /// Orders, each answered 201.
    pub placed: Vec<Placed>,
    /// The longest that any single request took.
    pub slowest: Duration,
    /// Requests without any answer within fifteen seconds.
    pub hung: Vec<String>,
    /// How often each answer came that was not the one hoped for.
    pub failures: BTreeMap<String, usize>,
}

impl Load {
    /// Each user orders for 1.00 again and again, looks at the order, and repeats under its key what was not answered.
    #[must_use]
    pub fn start(client: &Client, users: &[String]) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let users = users.iter().map(|user| {
            let user = User {
                name: user.clone(),
                client: client.clone(),
                tally: Tally::default(),
            };
            tokio::spawn(user.order_until(stop.clone(), answered.clone()))
        });
        let users = users.collect();
        Self { stop, answered, users }
    }

    /// Orders answered so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Lets each user get the answer to what it has asked for, and adds all up.
    ///
    /// # Errors
    /// One was refused.
    pub async fn stop(self) -> anyhow::Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for user in self.users {
            let tally = user.await??;
            sum.placed.extend(tally.placed);
            sum.hung.extend(tally.hung);
            sum.slowest = sum.slowest.max(tally.slowest);
            for (failure, times) in tally.failures {
                *sum.failures.entry(failure).or_default() += times;
            }
        }
        Ok(sum)
    }
}

struct User {
    name: String,
    client: Client,
    tally: Tally,
}

impl User {
    async fn order_until(mut self, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> anyhow::Result<Tally> {
        while !stop.load(Ordering::Relaxed) {
            let id = self.order().await?;
            answered.fetch_add(1, Ordering::Relaxed);
            let look = self
                .client
                .request(Method::GET, &format!("/orders/{id}"))
                .header("X-User-Id", &self.name);
            self.ask(look).await?;
            let look = self
                .client
                .request(Method::GET, "/accounts/balance")
                .header("X-User-Id", &self.name);
            self.ask(look).await?;
            let user = self.name.clone();
            self.tally.placed.push(Placed { user, id });
        }
        Ok(self.tally)
    }

    /// Under one key, until it is answered.
    async fn order(&mut self) -> anyhow::Result<String> {
        let key = Uuid::new_v4().to_string();
        loop {
            let order = self
                .client
                .request(Method::POST, "/orders")
                .header("X-User-Id", &self.name)
                .header("Idempotency-Key", &key)
                .json(&json!({ "amount": "1.00" }));
            match self.ask(order).await? {
                Some(placed) if placed.status == StatusCode::CREATED => return Ok(placed.text("id").to_owned()),
                Some(refused) if refused.status.is_client_error() && refused.status != StatusCode::CONFLICT => {
                    bail!("refused: {refused:?}")
                }
                _ => sleep(PAUSE).await,
            }
        }
    }

    async fn ask(&mut self, request: reqwest::RequestBuilder) -> anyhow::Result<Option<Answer>> {
        let request = request.timeout(PATIENCE);
        let what = request.try_clone().and_then(|request| request.build().ok());
        let what = what.map_or_else(String::new, |request| {
            format!("{} {}", request.method(), request.url().path())
        });
        let started = Instant::now();
        let answer = send(request).await;
        self.tally.slowest = self.tally.slowest.max(started.elapsed());
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if started.elapsed() >= PATIENCE {
                    self.tally.hung.push(what);
                }
                *self.tally.failures.entry(short(&error)).or_default() += 1;
                return Ok(None);
            }
        };
        if !answer.status.is_success() {
            let failure = format!("{} {}", answer.status.as_u16(), answer.text("code"));
            *self.tally.failures.entry(failure).or_default() += 1;
            if answer.status.is_server_error() && answer.text("code").is_empty() {
                bail!("{what} was answered with no problem: {answer:?}");
            }
        }
        Ok(Some(answer))
    }
}

fn short(error: &anyhow::Error) -> String {
    error.root_cause().to_string().chars().take(60).collect()
}
