//! Serves until it is asked to stop; then ready turns red first, and running requests finish.

use std::time::Duration;

use anyhow::Context as _;
use poem::listener::TcpListener;
use poem::{Endpoint, Server};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::health::Health;
use crate::settings::CommonSettings;

/// A connection that says nothing for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Serves `routes` until `stopping`, and then for as long as running requests take, the grace at most.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    common: &CommonSettings,
    routes: impl Endpoint + 'static,
    health: &Health,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let listen = common.listen;
    let health = health.clone();
    info!("listening on http://{listen}");
    let asked = async move {
        stopping.cancelled().await;
        health.stopping();
        info!("stopping: running requests finish");
    };
    Server::new(TcpListener::bind(listen))
        .idle_timeout(IDLE_TIMEOUT)
        .run_with_graceful_shutdown(routes, asked, Some(Duration::from_millis(common.stop_grace_ms)))
        .await
        .with_context(|| {
            format!("could not listen on {listen}; set another address with KASSA_LISTEN=… or --set listen=…")
        })
}
