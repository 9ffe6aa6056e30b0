//! A steady load, and what must not grow under it: `cargo kassa bench --only soak` does the same for an hour.

use anyhow::ensure;
use kassa::stack::{Name, root};
use platform_tests::Platform;
use tokio::process::Command;

const SECONDS: &str = "60";
/// Far below what an unoptimized build can do: this is about what stays behind, not about how fast it goes.
const PER_SECOND: &str = "50";

pub(crate) async fn a_minute_of_load_leaves_memory_files_and_tables_as_they_were(
    platform: &Platform,
) -> anyhow::Result<()> {
    let stack = &platform.stack;
    let orders_api = format!("http://127.0.0.1:{}", stack.port(Name::OrdersApi, 0));
    let mut load = Command::new(root().join("target/debug/load"));
    load.args(["suite", "--only", "soak", "--strict", "--connections", "8"])
        .args(["--soak-seconds", SECONDS, "--soak-per-second", PER_SECOND])
        .args(["--platform", &stack.described(&[stack.gateway_url()]).to_string()])
        .args(["--orders-api", &orders_api]);
    let output = load.output().await?;
    let (said, why) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    println!("{said}");
    ensure!(output.status.success(), "{why}\n{said}");
    Ok(())
}
