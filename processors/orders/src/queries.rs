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

/// Orders that are looked at for a page of those with one status. Without a limit, a user with a million paid orders who asks
/// for those that were declined would have all of them read, and everybody else would wait.
pub const LOOKED_AT_MAX: u32 = 1_000;

/// Orders with one status, and how far it was looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrdersWithStatus {
    /// Newest first.
    pub orders: Vec<Order>,
    /// The last of [`LOOKED_AT_MAX`] orders that were looked at; none if there were fewer.
    pub looked_to: Option<Uuid>,
}

/// A user's orders with one status: of [`LOOKED_AT_MAX`] before `before`, `limit` at most.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn list_orders(
    pool: &PgPool,
    user_id: &str,
    status: OrderStatus,
    before: Option<Uuid>,
    limit: u32,
) -> Result<OrdersWithStatus, StoreError> {
    let before = before.unwrap_or(Uuid::max());
    let doing = "could not list the orders";
    // The end first: orders that come meanwhile are before it.
    let looked_to: Option<Uuid> = answered(
        doing,
        sqlx::query_scalar("select id from orders where user_id = $1 and id < $2 order by id desc offset $3 limit 1")
            .bind(user_id)
            .bind(before)
            .bind(i64::from(LOOKED_AT_MAX) - 1)
            .fetch_optional(pool),
    )
    .await?;
    let rows: Vec<OrderRow> = answered(
        doing,
        sqlx::query_as(
            "select id, user_id, amount, description, status, status_reason, created_at, updated_at
           from orders
          where user_id = $1 and id < $2 and id >= $3 and status = $4
          order by id desc limit $5",
        )
        .bind(user_id)
        .bind(before)
        .bind(looked_to.unwrap_or(Uuid::nil()))
        .bind(status.as_str())
        .bind(i64::from(limit))
        .fetch_all(pool),
    )
    .await?;
    let orders = rows.into_iter().map(OrderRow::into_order).collect::<Result<_, _>>()?;
    Ok(OrdersWithStatus { orders, looked_to })
}
