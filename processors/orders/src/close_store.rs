//! Closing on Postgres: one statement to load a batch, one to save it.

use http_kit::crash_point::CrashPoints as _;
use schemas::PaymentStatus;
use sqlx::Row as _;
use streams::{PgTx, Record, StateStore, StoreError};
use uuid::Uuid;

use crate::close_order::{Closing, Hops, OrderState};
use crate::order::OrderStatus;

/// The orders of an orders database.
#[derive(Clone, Copy, Debug)]
pub struct PgClosing;

impl StateStore<PaymentStatus> for PgClosing {
    type Tx = PgTx;
    type State = Closing;

    async fn load(&self, tx: &mut PgTx, batch: &[&Record<PaymentStatus>]) -> Result<Closing, StoreError> {
        // Sorted, so that two transactions never lock the same orders in opposite orders.
        let rows = sqlx::query(
            "select id, status, status_reason from orders where id = any($1) order by id for no key update",
        )
        .bind(batch.iter().map(|record| record.event.order_id).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .crash_points("close.load")
        .await
        .map_err(|error| StoreError::from_sql("could not load the orders", error))?;
        let mut state = Closing::default();
        for row in rows {
            let status = OrderStatus::from_stored(row.get(1)).ok_or_else(|| StoreError::Transient {
                doing: "could not read an order".to_owned(),
                source: "an unknown status".into(),
            })?;
            state.orders.insert(
                row.get(0),
                OrderState {
                    status,
                    reason: row.get(2),
                },
            );
        }
        Ok(state)
    }

    async fn save(&self, tx: &mut PgTx, state: Closing) -> Result<(), StoreError> {
        if state.closed.is_empty() {
            return Ok(());
        }
        let closed: Vec<(&Uuid, &OrderState, &Hops)> = state
            .closed
            .iter()
            .map(|(id, hops)| (id, &state.orders[id], hops))
            .collect();
        let done = sqlx::query(
            "update orders
                set status = c.status, status_reason = c.reason, updated_at = now(),
                    request_published_at = c.request_published_at, decided_at = c.decided_at,
                    status_published_at = c.status_published_at
               from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
                    as c(id, status, reason, request_published_at, decided_at, status_published_at)
              where orders.id = c.id and orders.status = 'NEW'",
        )
        .bind(closed.iter().map(|(id, ..)| **id).collect::<Vec<_>>())
        .bind(
            closed
                .iter()
                .map(|(_, order, _)| order.status.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            closed
                .iter()
                .map(|(_, order, _)| order.reason.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            closed
                .iter()
                .map(|(.., hops)| hops.request_published_at)
                .collect::<Vec<_>>(),
        )
        .bind(closed.iter().map(|(.., hops)| hops.decided_at).collect::<Vec<_>>())
        .bind(
            closed
                .iter()
                .map(|(.., hops)| hops.status_published_at)
                .collect::<Vec<_>>(),
        )
        .execute(&mut **tx)
        .crash_points("close.save")
        .await
        .map_err(|error| StoreError::from_sql("could not close the orders", error))?;
        if done.rows_affected() != closed.len() as u64 {
            return Err(StoreError::conflict("could not close the orders"));
        }
        Ok(())
    }
}
