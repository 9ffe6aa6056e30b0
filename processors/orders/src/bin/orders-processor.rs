//! Publishes payment requests, and closes orders: `payment-status` → close the order.

use std::sync::Arc;

use orders::{APP_ROLE, MIGRATOR, PgClosing, topology};
use schemas::{Codec, PaymentRequest, PaymentStatus, Registry};
use streams::event::LearnError;
use streams::service::ProcessorService;

fn main() -> anyhow::Result<()> {
    ProcessorService {
        name: "orders-processor",
        default_listen: "127.0.0.1:8091",
        migrator: &MIGRATOR,
        app_role: APP_ROLE,
        topics: &[PaymentRequest::TOPIC, PaymentStatus::TOPIC],
        connect: Arc::new(|registry_url| {
            Box::pin(async move {
                let registry =
                    Registry::new(&registry_url).map_err(|error| LearnError::Unavailable(error.to_string()))?;
                Ok(topology(
                    PgClosing,
                    Arc::new(Codec::<PaymentStatus>::connect(&registry).await?),
                ))
            })
        }),
        describe: || topology(PgClosing, Arc::new(Codec::offline(1))).describe(),
    }
    .main()
}
