//! Places orders: the order and its `payment-request` in one transaction, many orders per commit.

use std::collections::{HashMap, HashSet};

use http_kit::crash_point::CrashPoints as _;
use rust_decimal::Decimal;
use schemas::Amount;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use streams::request_keys::{self, Keyed, RequestKey};
use streams::{CommitBatch, StagedEvent, StoreError, append_to_outbox, end_refused};
use uuid::Uuid;

use crate::order::{Order, OrderRow};

/// A request to place an order.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    /// The id that the order gets, a UUIDv7; a second commit of the same request is known by it.
    pub order_id: Uuid,
    /// Who pays.
    pub user_id: String,
    /// How much.
    pub amount: Amount,
    /// The buyer's own words, 500 characters at most.
    pub description: Option<String>,
    /// The `payment-request` that asks for the payment.
    pub event: StagedEvent,
    /// The caller's idempotency key, if there is one.
    pub key: Option<RequestKey>,
}

/// An order that was placed; remembered under its key as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed(pub Order);

/// Places orders in batches.
#[derive(Clone, Debug)]
pub struct PlaceOrders {
    pool: PgPool,
}

impl PlaceOrders {
    /// On the orders database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

impl CommitBatch for PlaceOrders {
    type Request = PlaceOrder;
    type Answer = Keyed<Placed>;

    async fn commit(&self, batch: &[PlaceOrder]) -> Result<Vec<Keyed<Placed>>, StoreError> {
        let failed = |error| StoreError::from_sql("could not place orders", error);
        let mut tx = self.pool.begin().crash_points("place.begin").await.map_err(failed)?;
        match place_keyed(&mut tx, batch).await {
            Ok(answers) => {
                tx.commit().crash_points("place.commit").await.map_err(failed)?;
                Ok(answers)
            }
            Err(error) => Err(end_refused(tx, error).await),
        }
    }
}

async fn place_keyed(tx: &mut PgConnection, batch: &[PlaceOrder]) -> Result<Vec<Keyed<Placed>>, StoreError> {
    let keys: Vec<Option<&RequestKey>> = batch.iter().map(|order| order.key.as_ref()).collect();
    let answers = request_keys::admit(tx, &keys).await?;
    let fresh: Vec<&PlaceOrder> = answers.fresh().map(|index| &batch[index]).collect();
    let placed = place(tx, &fresh).await?;
    answers.complete(tx, placed).await
}

async fn place(tx: &mut PgConnection, batch: &[&PlaceOrder]) -> Result<Vec<Placed>, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let rows = insert(tx, batch).await?;
    check_clocks(&rows)?;
    let new: HashSet<Uuid> = rows.iter().map(|order| order.id).collect();
    let mut orders: HashMap<Uuid, Order> = rows.into_iter().map(|order| (order.id, order)).collect();
    let events: Vec<StagedEvent> = batch
        .iter()
        .filter(|order| new.contains(&order.order_id))
        .map(|order| order.event.clone())
        .collect();
    append_to_outbox(tx, &events).await?;
    if new.len() < batch.len() {
        // Their COMMIT took effect, and only its answer was lost: the event is staged already, too.
        let known: Vec<Uuid> = batch
            .iter()
            .map(|order| order.order_id)
            .filter(|id| !new.contains(id))
            .collect();
        orders.extend(find(tx, known).await?.into_iter().map(|order| (order.id, order)));
    }
    let placed = |order: &&PlaceOrder| Placed(orders[&order.order_id].clone());
    Ok(batch.iter().map(placed).collect())
}

/// Ids carry this machine's time, and receivers refuse those that are far from theirs: better no order than one that
/// nobody can ever decide.
pub(crate) fn check_clocks(placed: &[Order]) -> Result<(), StoreError> {
    let skew = |order: &Order| {
        let (seconds, _) = order.id.get_timestamp()?.to_unix();
        Some(order.created_at.timestamp().abs_diff(i64::try_from(seconds).ok()?))
    };
    match placed
        .iter()
        .find(|order| skew(order).is_none_or(|seconds| seconds > CLOCK_SKEW_MAX_SECONDS))
    {
        None => Ok(()),
        Some(order) => Err(StoreError::Transient {
            doing: format!("could not place order {}", order.id),
            source: "the clocks of this machine and of the database are more than a day apart".into(),
        }),
    }
}

const CLOCK_SKEW_MAX_SECONDS: u64 = 24 * 3600;

async fn insert(tx: &mut PgConnection, batch: &[&PlaceOrder]) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<OrderRow> = sqlx::query_as(
        "insert into orders (id, user_id, amount, description)
         select o.id, o.user_id, o.amount, o.description
           from unnest($1::uuid[], $2::text[], $3::numeric[], $4::text[]) as o(id, user_id, amount, description)
         on conflict do nothing
         returning id, user_id, amount, description, status, status_reason, created_at, updated_at",
    )
    .bind(batch.iter().map(|order| order.order_id).collect::<Vec<_>>())
    .bind(batch.iter().map(|order| order.user_id.as_str()).collect::<Vec<_>>())
    .bind(
        batch
            .iter()
            .map(|order| Decimal::from(order.amount))
            .collect::<Vec<_>>(),
    )
    .bind(
        batch
            .iter()
            .map(|order| order.description.as_deref())
            .collect::<Vec<_>>(),
    )
    .fetch_all(tx)
    .crash_points("place.insert")
    .await
    .map_err(|error| StoreError::from_sql("could not insert the orders", error))?;
    rows.into_iter().map(OrderRow::into_order).collect()
}

async fn find(tx: &mut PgConnection, ids: Vec<Uuid>) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<OrderRow> = sqlx::query_as(
        "select id, user_id, amount, description, status, status_reason, created_at, updated_at
           from orders where id = any($1)",
    )
    .bind(ids)
    .fetch_all(tx)
    .crash_points("place.find")
    .await
    .map_err(|error| StoreError::from_sql("could not read the orders", error))?;
    rows.into_iter().map(OrderRow::into_order).collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use uuid::{NoContext, Timestamp};

    use super::*;
    use crate::order::OrderStatus;

    /// An order that the database has stored so long after the moment in its id.
    fn stored_after(skew: TimeDelta) -> Order {
        let seconds = 1_700_000_000;
        let stored = DateTime::from_timestamp(seconds, 0).expect("a time") + skew;
        Order {
            id: Uuid::new_v7(Timestamp::from_unix(NoContext, seconds.cast_unsigned(), 0)),
            user_id: "alice".to_owned(),
            amount: Amount::from_cents(1).expect("in range"),
            description: None,
            status: OrderStatus::New,
            status_reason: None,
            created_at: stored,
            updated_at: stored,
        }
    }

    #[test]
    fn clocks_may_be_a_day_apart_and_no_second_more() {
        let (day, second) = (TimeDelta::days(1), TimeDelta::seconds(1));
        for skew in [TimeDelta::zero(), day, -day] {
            check_clocks(&[stored_after(skew)]).expect("in time");
        }
        for skew in [day + second, -day - second] {
            let said = check_clocks(&[stored_after(TimeDelta::zero()), stored_after(skew)]).expect_err("too far apart");
            assert!(said.chain().contains("more than a day apart"), "{said:?}");
        }
    }
}
