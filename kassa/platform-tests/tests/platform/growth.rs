//! A steady load, and what must not grow under it: `cargo kassa bench --only soak` does the same for an hour.

use anyhow::ensure;
use kassa::machine::leftovers;
use kassa::stack::{Database, Name, Role, root};
use platform_tests::Platform;
use tokio::process::Command;

const SECONDS: &str = "60";
/// Far below what an unoptimized build can do: this is about what stays behind, not about how fast it goes.
const PER_SECOND: &str = "50";

pub(crate) async fn a_minute_of_load_leaves_memory_files_and_tables_as_they_were(
    platform: &Platform,
) -> anyhow::Result<()> {
    let stack = &platform.stack;
    let settings = stack.settings();
    let orders_api = format!("http://127.0.0.1:{}", stack.port(Name::OrdersApi, 0));
    let mut load = Command::new(root().join("target/debug/load"));
    load.args(["suite", "--only", "soak", "--strict", "--connections", "8"])
        .args(["--soak-seconds", SECONDS, "--soak-per-second", PER_SECOND])
        .args(["--gateway", &stack.gateway_url(), "--orders-api", &orders_api])
        .args(["--server", &settings.server_url()])
        .args(["--orders", &settings.database_url(Database::Orders, Role::Super)])
        .args(["--payments", &settings.database_url(Database::Payments, Role::Super)]);
    for (name, identity) in leftovers::read(&settings.pids()) {
        load.args(["--process", &format!("{name}={}", identity.pid)]);
    }
    let output = load.output().await?;
    let (said, why) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    println!("{said}");
    ensure!(output.status.success(), "{why}\n{said}");
    Ok(())
}
