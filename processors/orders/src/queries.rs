//! What fronts show of orders.

use sqlx::PgPool;
use streams::{StoreError, answered};
use uuid::Uuid;

use crate::order::{Order, OrderRow, OrderStatus};

/// A user's order; `None` also for another user's.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn find_order(pool: &PgPool, user_id: &str, id: Uuid) -> Result<Option<Order>, StoreError> {
    let row: Option<OrderRow> = answered(
        "could not read the order",
        sqlx::query_as(
            "select id, user_id, amount, description, status, status_reason, created_at, updated_at
           from orders where id = $1 and user_id = $2",
        )
        .bind(id)
        .bind(user_id)
        .fetch_optional(pool),
    )
    .await?;
    row.map(OrderRow::into_order).transpose()
}

/// Those of these orders that are closed.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn find_closed(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<OrderRow> = answered(
        "could not look for closed orders",
        sqlx::query_as(
            "select id, user_id, amount, description, status, status_reason, created_at, updated_at
           from orders where id = any($1) and status <> 'NEW'",
        )
        .bind(ids)
        .fetch_all(pool),
    )
    .await?;
    rows.into_iter().map(OrderRow::into_order).collect()
}

/// A page of a user's orders, newest first: those before `before`, `limit` at most.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn list_orders(
    pool: &PgPool,
    user_id: &str,
    status: Option<OrderStatus>,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<OrderRow> = answered(
        "could not list the orders",
        sqlx::query_as(
            "select id, user_id, amount, description, status, status_reason, created_at, updated_at
           from orders
          where user_id = $1 and id < $2 and ($3::text is null or status = $3)
          order by id desc limit $4",
        )
        .bind(user_id)
        .bind(before.unwrap_or(Uuid::max()))
        .bind(status.map(OrderStatus::as_str))
        .bind(i64::from(limit))
        .fetch_all(pool),
    )
    .await?;
    rows.into_iter().map(OrderRow::into_order).collect()
}
