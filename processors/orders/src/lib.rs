//! Orders: accepted, then paid or declined, each exactly once.
//!
//! Fronts call [`PlaceOrders`], which stages a `payment-request` with each order. `payment-status` →
//! [`CloseOrder`] closes the order. Queries are in [`queries`].

mod close_order;
mod close_store;
#[cfg(feature = "testing")]
mod memory_store;
mod order;
mod place_order;
pub mod queries;
pub mod timeline;
mod topology;

use sqlx::migrate::Migrator;

pub use close_order::{CloseOrder, Closing, Hops, OrderState};
pub use close_store::PgClosing;
#[cfg(feature = "testing")]
pub use memory_store::{MemoryClosing, MemoryPlaceOrders, Placement};
pub use order::{Order, OrderStatus};
pub use place_order::{PlaceOrder, PlaceOrders, Placed};
pub use topology::{GROUP, topology};

/// The service's own tables; they come after the library's.
pub static MIGRATOR: Migrator = sqlx::migrate!();
/// The role that the service works as.
pub const APP_ROLE: &str = "orders_app";
