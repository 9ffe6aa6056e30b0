//! What fronts show of orders.

use std::collections::HashMap;

use sqlx::PgPool;
use streams::{StoreError, answered};
use uuid::Uuid;

use crate::order::{Order, OrderRow, OrderStatus};

/// Those of these orders that are there, whoever placed them.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn find_orders(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<OrderRow> = answered(
        "could not read the orders",
        sqlx::query_as(
            "select id, user_id, amount, description, status, status_reason, created_at, updated_at
           from orders where id = any($1)",
        )
        .bind(ids)
        .fetch_all(pool),
    )
    .await?;
    rows.into_iter().map(OrderRow::into_order).collect()
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

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// Whose orders.
    pub user_id: String,
    /// Those before this one; from the newest on if there is none.
    pub before: Option<Uuid>,
    /// So many at most.
    pub limit: u32,
}

#[derive(sqlx::FromRow)]
struct OfPage {
    page: i64,
    #[sqlx(flatten)]
    order: OrderRow,
}

/// Many pages with one question, newest orders first; a page without orders is left out.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn list_pages(pool: &PgPool, pages: &[PageKey]) -> Result<HashMap<PageKey, Vec<Order>>, StoreError> {
    let rows: Vec<OfPage> = answered(
        "could not list the orders",
        sqlx::query_as(
            "select page, o.* from unnest($1::text[], $2::uuid[], $3::bigint[])
                               with ordinality as p(user_id, before, orders_max, page)
              cross join lateral (
                 select id, user_id, amount, description, status, status_reason, created_at, updated_at
                   from orders where user_id = p.user_id and id < p.before order by id desc limit p.orders_max) o
              order by page, id desc",
        )
        .bind(pages.iter().map(|page| page.user_id.as_str()).collect::<Vec<_>>())
        .bind(
            pages
                .iter()
                .map(|page| page.before.unwrap_or(Uuid::max()))
                .collect::<Vec<_>>(),
        )
        .bind(pages.iter().map(|page| i64::from(page.limit)).collect::<Vec<_>>())
        .fetch_all(pool),
    )
    .await?;
    let mut found = vec![Vec::new(); pages.len()];
    for row in rows {
        let page = usize::try_from(row.page - 1).unwrap_or_default();
        found[page].push(row.order.into_order()?);
    }
    let found = pages.iter().cloned().zip(found);
    Ok(found.filter(|(_, orders)| !orders.is_empty()).collect())
}

/// A page of a user's orders with one status, newest first: those before `before`, `limit` at most.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn list_orders(
    pool: &PgPool,
    user_id: &str,
    status: OrderStatus,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<OrderRow> = answered(
        "could not list the orders",
        sqlx::query_as(
            "select id, user_id, amount, description, status, status_reason, created_at, updated_at
           from orders
          where user_id = $1 and id < $2 and status = $3
          order by id desc limit $4",
        )
        .bind(user_id)
        .bind(before.unwrap_or(Uuid::max()))
        .bind(status.as_str())
        .bind(i64::from(limit))
        .fetch_all(pool),
    )
    .await?;
    rows.into_iter().map(OrderRow::into_order).collect()
}
