//! Closing in memory, for tests and simulation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::PaymentStatus;
use streams::{MemoryTx, Record, StateStore, StoreError};
use uuid::Uuid;

use crate::close_order::{Closing, OrderState};
use crate::order::OrderStatus;

/// Orders in memory. Clones share the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryClosing {
    orders: Arc<Mutex<HashMap<Uuid, OrderState>>>,
}

impl MemoryClosing {
    fn orders(&self) -> MutexGuard<'_, HashMap<Uuid, OrderState>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places an order.
    pub fn place(&self, id: Uuid) {
        self.orders().insert(
            id,
            OrderState {
                status: OrderStatus::New,
                reason: None,
            },
        );
    }

    /// Where an order stands.
    #[must_use]
    pub fn order(&self, id: Uuid) -> Option<OrderState> {
        self.orders().get(&id).cloned()
    }
}

impl StateStore<PaymentStatus> for MemoryClosing {
    type Tx = MemoryTx;
    type State = Closing;

    async fn load(&self, _tx: &mut MemoryTx, batch: &[&Record<PaymentStatus>]) -> Result<Closing, StoreError> {
        let orders = self.orders();
        let find = |record: &&Record<PaymentStatus>| {
            let id = record.event.order_id;
            Some((id, orders.get(&id)?.clone()))
        };
        Ok(Closing {
            orders: batch.iter().filter_map(find).collect(),
            closed: Vec::new(),
        })
    }

    async fn save(&self, tx: &mut MemoryTx, state: Closing) -> Result<(), StoreError> {
        let store = self.clone();
        tx.on_commit(move || store.orders().extend(state.orders));
        Ok(())
    }
}
