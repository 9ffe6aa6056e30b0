//! Orders in memory, for tests and simulation: the same locks, guards and constraints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::{Amount, PaymentStatus};
use streams::request_keys::{Keyed, RequestKey};
use streams::seeded_bug::{self, Bug};
use streams::{Backend as _, CommitBatch, MemoryBackend, MemoryTx, Record, StagedEvent, StateStore, StoreError};
use uuid::Uuid;

use crate::close_order::{Closing, OrderState};
use crate::order::{Order, OrderStatus};
use crate::place_order::{PlaceOrder, Placed, check_clocks};

/// The longest description that the table takes.
const DESCRIPTION_MAX_CHARS: usize = 500;

/// Orders in memory. Clones share the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryClosing {
    tables: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    orders: HashMap<Uuid, Order>,
    history: Vec<Placement>,
    moments: u64,
}

/// When an order was placed: from its transaction's begin to its commit. Moments only order what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The order.
    pub order_id: Uuid,
    /// The moment at which its transaction began.
    pub begun: u64,
    /// The moment at which it was committed.
    pub committed: u64,
}

impl MemoryClosing {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> u64 {
        let mut tables = self.tables();
        tables.moments += 1;
        tables.moments
    }

    /// When each order was placed, in the order of commits; within one, in the order of the batch.
    #[must_use]
    pub fn history(&self) -> Vec<Placement> {
        self.tables().history.clone()
    }

    /// Places an order of somebody.
    ///
    /// # Panics
    /// Never: a cent is an amount.
    pub fn place(&self, id: Uuid) {
        let order = Order {
            id,
            user_id: "alice".to_owned(),
            amount: Amount::from_cents(1).expect("a cent is an amount"),
            description: None,
            status: OrderStatus::New,
            status_reason: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        self.tables().orders.insert(id, order);
    }

    /// Where an order stands.
    #[must_use]
    pub fn order(&self, id: Uuid) -> Option<OrderState> {
        self.tables().orders.get(&id).map(state)
    }

    /// All orders, oldest id first.
    #[must_use]
    pub fn all(&self) -> Vec<Order> {
        let mut orders: Vec<Order> = self.tables().orders.values().cloned().collect();
        orders.sort_by_key(|order| order.id);
        orders
    }
}

/// What the table takes for no text, or for too long a one.
fn is_refused(description: &str) -> bool {
    description.contains('\0') || description.chars().count() > DESCRIPTION_MAX_CHARS
}

fn state(order: &Order) -> OrderState {
    OrderState {
        status: order.status,
        reason: order.status_reason.clone(),
    }
}

impl StateStore<PaymentStatus> for MemoryClosing {
    type Tx = MemoryTx;
    type State = Closing;

    async fn load(&self, tx: &mut MemoryTx, batch: &[&Record<PaymentStatus>]) -> Result<Closing, StoreError> {
        tx.statement("load the orders").await?;
        let mut ids: Vec<Uuid> = batch.iter().map(|record| record.event.order_id).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in &ids {
            // Where there is none, there is no row to lock.
            if self.order(*id).is_some() {
                tx.lock(format!("order {id}")).await?;
            }
        }
        let orders = &self.tables().orders;
        Ok(Closing {
            orders: ids
                .iter()
                .filter_map(|id| Some((*id, state(orders.get(id)?))))
                .collect(),
            closed: Vec::new(),
        })
    }

    async fn save(&self, tx: &mut MemoryTx, closing: Closing) -> Result<(), StoreError> {
        if closing.closed.is_empty() {
            return Ok(());
        }
        tx.statement("close the orders").await?;
        let is_new = |(id, _): &(Uuid, _)| self.order(*id).is_some_and(|order| !order.status.is_terminal());
        if !closing.closed.iter().all(is_new) && !seeded_bug::is_on(Bug::StatusOverwritten) {
            return Err(StoreError::conflict("could not close the orders"));
        }
        let store = self.clone();
        tx.on_commit(move || {
            let orders = &mut store.tables().orders;
            for (id, _) in closing.closed {
                let order = orders.get_mut(&id).expect("it was loaded");
                let closed = closing.orders[&id].clone();
                (order.status, order.status_reason) = (closed.status, closed.reason);
            }
        });
        Ok(())
    }
}

/// Places orders in memory.
#[derive(Clone, Debug)]
pub struct MemoryPlaceOrders {
    backend: MemoryBackend,
    store: MemoryClosing,
}

impl MemoryPlaceOrders {
    /// On the table of `store`, in the transactions of `backend`.
    #[must_use]
    pub fn new(backend: MemoryBackend, store: MemoryClosing) -> Self {
        Self { backend, store }
    }

    async fn place(&self, tx: &mut MemoryTx, batch: &[&PlaceOrder]) -> Result<Vec<Placed>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        tx.statement("insert the orders").await?;
        let begun = self.store.moment();
        let mut placed = Vec::with_capacity(batch.len());
        let mut events: Vec<StagedEvent> = Vec::new();
        for order in batch {
            tx.lock(format!("order {}", order.order_id)).await?;
            let known = self.store.tables().orders.get(&order.order_id).cloned();
            let refused = known.is_some() && seeded_bug::is_on(Bug::AmbiguousCommitRefused);
            if refused || order.description.as_deref().is_some_and(is_refused) {
                let why = format!("order {} breaks a constraint", order.order_id);
                return Err(tx.refuse("could not insert the orders", why));
            }
            let row = known.unwrap_or_else(|| {
                let row = self.row(order);
                let (store, new) = (self.store.clone(), row.clone());
                tx.on_commit(move || {
                    let committed = store.moment();
                    let mut tables = store.tables();
                    let order_id = new.id;
                    tables.history.push(Placement {
                        order_id,
                        begun,
                        committed,
                    });
                    tables.orders.insert(order_id, new);
                });
                events.push(order.event.clone());
                row
            });
            placed.push(Placed(row));
        }
        let orders: Vec<Order> = placed.iter().map(|Placed(order)| order.clone()).collect();
        check_clocks(&orders)?;
        tx.append_to_outbox(&events).await?;
        Ok(placed)
    }

    fn row(&self, order: &PlaceOrder) -> Order {
        let now = self.backend.now().unwrap_or_default();
        Order {
            id: order.order_id,
            user_id: order.user_id.clone(),
            amount: order.amount,
            description: order.description.clone(),
            status: OrderStatus::New,
            status_reason: None,
            created_at: now,
            updated_at: now,
        }
    }
}

impl CommitBatch for MemoryPlaceOrders {
    type Request = PlaceOrder;
    type Answer = Keyed<Placed>;

    async fn commit(&self, batch: &[PlaceOrder]) -> Result<Vec<Keyed<Placed>>, StoreError> {
        let mut tx = self.backend.begin().await?;
        let keys: Vec<Option<&RequestKey>> = batch.iter().map(|order| order.key.as_ref()).collect();
        let answers = tx.admit_request_keys(&keys).await?;
        let fresh: Vec<&PlaceOrder> = answers.fresh().map(|index| &batch[index]).collect();
        if seeded_bug::is_on(Bug::KeyBeforeEffect) {
            let placed: Vec<Placed> = fresh.iter().map(|order| Placed(self.row(order))).collect();
            let answers = tx.complete_request_keys(answers, placed).await?;
            tx.commit().await?;
            let mut tx = self.backend.begin().await?;
            self.place(&mut tx, &fresh).await?;
            tx.commit().await?;
            return Ok(answers);
        }
        let placed = self.place(&mut tx, &fresh).await?;
        if seeded_bug::is_on(Bug::KeyAfterEffect) {
            tx.commit().await?;
            tx = self.backend.begin().await?;
        }
        let answers = tx.complete_request_keys(answers, placed).await?;
        if seeded_bug::is_on(Bug::AnswerBeforeCommit) {
            drop(tokio::spawn(tx.commit()));
            return Ok(answers);
        }
        tx.commit().await?;
        Ok(answers)
    }
}
