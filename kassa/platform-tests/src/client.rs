//! A client as users write one: JSON over HTTP, through the gateway.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

/// An answer, whole.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null if it is no JSON.
    pub body: Value,
}

impl Answer {
    /// A header's text, empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A field's text, empty if it is not there or no text.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }
}

/// Talks to one gateway or service.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// A client of `url`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn new(url: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
        Ok(Self { http, url })
    }

    /// A request to be completed by the caller.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// GET as a user.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn get(&self, path: &str, user: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::GET, path).header("X-User-Id", user)).await
    }

    /// POST of a JSON body as a user; null sends none.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn post(&self, path: &str, user: &str, body: &Value) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, path).header("X-User-Id", user);
        send(if body.is_null() { request } else { request.json(body) }).await
    }

    /// POST of a JSON body under an idempotency key.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn post_once(&self, path: &str, user: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, path).header("X-User-Id", user);
        send(request.header("Idempotency-Key", key).json(body)).await
    }

    /// Opens an account and puts `amount` on it.
    ///
    /// # Errors
    /// It is refused.
    pub async fn open_account(&self, user: &str, amount: &str) -> anyhow::Result<()> {
        let opened = self.post("/accounts", user, &Value::Null).await?;
        expect(&opened, StatusCode::CREATED)?;
        let topped_up = self.post("/accounts/topup", user, &json!({ "amount": amount })).await?;
        expect(&topped_up, StatusCode::OK)
    }

    /// Places an order and returns its id.
    ///
    /// # Errors
    /// It is refused.
    pub async fn order(&self, user: &str, amount: &str) -> anyhow::Result<String> {
        let placed = self.post("/orders", user, &json!({ "amount": amount })).await?;
        expect(&placed, StatusCode::CREATED)?;
        Ok(placed.text("id").to_owned())
    }

    /// Places an order as a careful program would while things break: under one key, until it is answered.
    ///
    /// # Errors
    /// It is refused, or not answered within `limit`.
    pub async fn order_surely(&self, user: &str, amount: &str, limit: Duration) -> anyhow::Result<String> {
        let key = Uuid::new_v4().to_string();
        let until = Instant::now() + limit;
        loop {
            let placed = self
                .post_once("/orders", user, &key, &json!({ "amount": amount }))
                .await;
            match placed {
                Ok(placed) if placed.status == StatusCode::CREATED => return Ok(placed.text("id").to_owned()),
                Ok(placed) if placed.status.is_client_error() && placed.status != StatusCode::CONFLICT => {
                    bail!("refused: {placed:?}")
                }
                other if Instant::now() > until => bail!("no answer within {limit:?}: {other:?}"),
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Waits until an order is terminal, and returns it.
    ///
    /// # Errors
    /// It is not, within `limit`.
    pub async fn terminal(&self, user: &str, order: &str, limit: Duration) -> anyhow::Result<Value> {
        let until = Instant::now() + limit;
        loop {
            let seen = self.get(&format!("/orders/{order}"), user).await;
            match seen {
                Ok(seen) if ["FINISHED", "CANCELLED"].contains(&seen.text("status")) => return Ok(seen.body),
                other if Instant::now() > until => bail!("order {order} of {user} is not terminal: {other:?}"),
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// The balance of a user's account.
    ///
    /// # Errors
    /// There is none.
    pub async fn balance(&self, user: &str) -> anyhow::Result<String> {
        let account = self.get("/accounts/balance", user).await?;
        expect(&account, StatusCode::OK)?;
        Ok(account.text("balance").to_owned())
    }
}

/// Sends a request and reads the answer.
///
/// # Errors
/// There is no answer.
pub async fn send(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await?;
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("json"));
    let body = if is_json {
        serde_json::from_slice(&bytes).context("an answer in JSON")?
    } else {
        Value::Null
    };
    Ok(Answer { status, headers, body })
}

fn expect(answer: &Answer, status: StatusCode) -> anyhow::Result<()> {
    if answer.status == status {
        Ok(())
    } else {
        bail!("expected {status}, not {answer:?}")
    }
}
