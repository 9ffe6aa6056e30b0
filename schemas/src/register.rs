//! Registers every committed version; idempotent. Services never do this.

use std::time::{Duration, Instant};

use crate::registry::Registry;
use crate::versions::SUBJECTS;

/// Waits for the registry, registers all versions in order, and sets FULL_TRANSITIVE on each subject.
/// One line per version.
///
/// # Errors
/// The registry does not come up within `wait`, or refuses a version.
pub async fn register_all(registry: &Registry, wait: Duration) -> anyhow::Result<Vec<String>> {
    let started = Instant::now();
    while !registry.answers().await {
        anyhow::ensure!(
            started.elapsed() < wait,
            "the registry has not answered for {} s; is it running?",
            wait.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let mut lines = Vec::new();
    for subject in SUBJECTS {
        for version in subject.versions {
            let id = registry.register(subject.name, &version.minified()).await?;
            lines.push(format!("{} v{} has id {id}", subject.name, version.number));
            // From the first version on the registry itself holds the later ones to the rule.
            registry.require_full_transitive(subject.name).await?;
        }
    }
    Ok(lines)
}
