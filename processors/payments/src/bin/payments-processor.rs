//! Decides payments: `payment-request` → charge the account → `payment-status`.

use std::sync::Arc;

use payments::{APP_ROLE, MIGRATOR, PgCharging, topology};
use schemas::{Codec, PaymentRequest, PaymentStatus, Registry};
use streams::event::LearnError;
use streams::service::ProcessorService;

fn main() -> anyhow::Result<()> {
    ProcessorService {
        name: "payments-processor",
        default_listen: "127.0.0.1:8092",
        migrator: &MIGRATOR,
        app_role: APP_ROLE,
        topics: &[PaymentRequest::TOPIC, PaymentStatus::TOPIC],
        connect: Arc::new(|registry_url| {
            Box::pin(async move {
                let registry =
                    Registry::new(&registry_url).map_err(|error| LearnError::Unavailable(error.to_string()))?;
                let requests = Codec::<PaymentRequest>::connect(&registry).await?;
                let statuses = Codec::<PaymentStatus>::connect(&registry).await?;
                Ok(topology(PgCharging, Arc::new(requests), Arc::new(statuses)))
            })
        }),
        describe: || topology(PgCharging, Arc::new(Codec::offline(1)), Arc::new(Codec::offline(2))).describe(),
    }
    .main()
}
