//! The codec of payment requests, which is there once the schema registry has answered.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_kit::health::Part;
use schemas::{Codec, PaymentRequest, Registry};
use tokio_util::sync::CancellationToken;

/// Empty until the registry has told the schema's id; from then on the registry may vanish.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateCodec {
    codec: Arc<OnceLock<Codec<PaymentRequest>>>,
}

impl LateCodec {
    /// The codec, if it is there.
    #[must_use]
    pub(crate) fn get(&self) -> Option<&Codec<PaymentRequest>> {
        self.codec.get()
    }

    /// Asks the registry until it answers.
    pub(crate) async fn connect(self, registry: Registry, part: Part, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            match Codec::connect(&registry).await {
                Ok(codec) => {
                    self.codec.get_or_init(|| codec);
                    part.up();
                    return;
                }
                Err(error) => part.down(&error.to_string()),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
