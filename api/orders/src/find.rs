//! Reads orders together with all others who read at the same time.

use std::collections::HashMap;

use orders::Order;
use orders::queries::{PageKey, find_orders, list_pages};
use sqlx::PgPool;
use streams::{LookUp, Lookups, StoreError};
use uuid::Uuid;

/// Orders by their ids, whoever placed them.
#[derive(Debug)]
pub(crate) struct OrdersById(pub(crate) PgPool);

impl LookUp for OrdersById {
    type Key = Uuid;
    type Found = Order;

    const WHAT: &'static str = "orders";

    async fn look_up(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Order>, StoreError> {
        let orders = find_orders(&self.0, ids).await?;
        Ok(orders.into_iter().map(|order| (order.id, order)).collect())
    }
}

/// A user's order; `None` also for another user's.
///
/// # Errors
/// [`StoreError`]: the database did not answer.
pub(crate) async fn find_order(
    orders: &Lookups<OrdersById>,
    user_id: &str,
    id: Uuid,
) -> Result<Option<Order>, StoreError> {
    let order = orders.find(id).await?;
    Ok(order.filter(|order| order.user_id == user_id))
}

/// Pages of orders with any status. Those with one status may have to read far for a page, and others should not wait for
/// that: they are read alone.
#[derive(Debug)]
pub(crate) struct OrderPages(pub(crate) PgPool);

impl LookUp for OrderPages {
    type Key = PageKey;
    type Found = Vec<Order>;

    const WHAT: &'static str = "pages";
    /// A page has up to a hundred orders.
    const KEYS_MAX: usize = 32;

    async fn look_up(&self, pages: &[PageKey]) -> Result<HashMap<PageKey, Vec<Order>>, StoreError> {
        list_pages(&self.0, pages).await
    }
}
