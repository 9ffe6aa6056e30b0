//! One running platform, and waiting for what must come true on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kassa::stack::{Database, Name, Role, Settings, Stack};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::time::sleep;
use uuid::Uuid;

use crate::books::Tables;
use crate::client::Client;
use crate::collector::Collector;

/// The platform, a client of its gateway, and both databases.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Platform {
    pub stack: Stack,
    pub client: Client,
    pub tables: Tables,
    pub collector: Collector,
}

/// How long recovery may take at most; a wait for a condition, never a measurement.
const RECOVERY: Duration = Duration::from_secs(90);

impl Platform {
    /// Starts a platform of its own on free ports, with small batches, so that a backlog is many batches.
    ///
    /// # Errors
    /// A part does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(Settings::temporary("platform")?)
    }

    /// Starts a platform of its own as `settings` say, with small batches too.
    ///
    /// # Errors
    /// A part does not start.
    pub fn start_with(mut settings: Settings) -> anyhow::Result<Self> {
        for name in [Name::OrdersProcessor, Name::PaymentsProcessor] {
            settings
                .service_env
                .push((name, "KASSA_BATCH_MAX_RECORDS", "10".to_owned()));
        }
        let (collector, endpoint) = Collector::start()?;
        for name in Name::SERVICES {
            settings
                .service_env
                .push((name, "KASSA_OTLP_ENDPOINT", endpoint.clone()));
        }
        let mut stack = Stack::new(settings, Arc::new(|text: &str| println!("  {text}")))?;
        stack.start()?;
        stack.supervise();
        let client = Client::new(stack.gateway_url())?;
        let tables = Tables {
            orders: pool(&stack, Database::Orders)?,
            payments: pool(&stack, Database::Payments)?,
        };
        Ok(Self {
            stack,
            client,
            tables,
            collector,
        })
    }

    /// Places `count` orders of `amount` for `users`, 16 at a time, each retried until it is answered.
    ///
    /// # Errors
    /// One is refused, or never answered.
    pub async fn place_orders(&self, users: &[String], amount: &str, count: usize) -> anyhow::Result<Vec<Placed>> {
        let place = |number: usize| async move {
            let user = users[number % users.len()].clone();
            let id = self.client.order_surely(&user, amount, RECOVERY).await?;
            anyhow::Ok(Placed { user, id })
        };
        stream::iter(0..count)
            .map(place)
            .buffer_unordered(16)
            .try_collect()
            .await
    }

    /// Waits until every one of these orders is terminal, and tells how many were paid.
    ///
    /// # Errors
    /// One is not.
    pub async fn all_terminal(&self, orders: &[Placed]) -> anyhow::Result<usize> {
        let ids: Vec<Uuid> = orders.iter().map(|order| order.id.parse()).collect::<Result<_, _>>()?;
        eventually(RECOVERY, "every answered order is terminal", async || {
            let (terminal, _) = self.tables.progress(&ids).await?;
            Ok(terminal == i64::try_from(ids.len())?)
        })
        .await?;
        let paid = "select count(*) from orders where id = any($1) and status = 'FINISHED'";
        let paid: i64 = sqlx::query_scalar(paid)
            .bind(&ids)
            .fetch_one(&self.tables.orders)
            .await?;
        Ok(usize::try_from(paid)?)
    }

    /// Waits until every process is ready again, with nobody's hand on it.
    ///
    /// # Errors
    /// One is not.
    pub async fn all_ready(&self) -> anyhow::Result<()> {
        tokio::task::block_in_place(|| self.stack.wait_until_ready(RECOVERY))
    }

    /// Users of their own for a test, each with an account of `amount`.
    ///
    /// # Errors
    /// One is refused.
    pub async fn users(&self, name: &str, count: usize, amount: &str) -> anyhow::Result<Vec<String>> {
        let mut users = Vec::new();
        for number in 0..count {
            let user = format!("{name}-{number}-{}", Uuid::new_v4().simple());
            self.client.open_account(&user, amount).await?;
            users.push(user);
        }
        Ok(users)
    }
}

/// An order that was answered.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Placed {
    pub user: String,
    pub id: String,
}

/// Waits for a condition; an error in looking is "not yet".
///
/// # Errors
/// It has not come true within `limit`.
pub async fn eventually(
    limit: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let until = Instant::now() + limit;
    loop {
        match holds().await {
            Ok(true) => return Ok(()),
            other if Instant::now() > until => bail!("not within {limit:?}: {what} ({other:?})"),
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}

fn pool(stack: &Stack, database: Database) -> anyhow::Result<PgPool> {
    let url = stack.settings().database_url(database, Role::Super);
    PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy(&url)
        .context("the database's URL")
}
