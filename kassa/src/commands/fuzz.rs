//! `cargo kassa fuzz`: coverage-guided input for the parts that read what others wrote.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::stack::root;

/// Where the targets are: a workspace of its own, for a nightly compiler builds it.
const FOLDER: &str = "kassa/fuzz";

/// What `fuzz` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct FuzzArgs {
    /// Which ones: `records`, `schemas_of_others`, `amounts`, `headers`, `settings`; all of them if none is named.
    targets: Vec<String>,
    /// How long each is looked for.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Runs each target for a while, on what earlier runs have found worth keeping.
///
/// # Errors
/// Input was found that panics, takes too much memory or time; it is kept, and the message says where. Or there is no
/// nightly compiler, or no cargo-fuzz.
pub fn fuzz(args: &FuzzArgs) -> anyhow::Result<()> {
    let all = targets()?;
    for target in &args.targets {
        ensure!(
            all.contains(target),
            "there is no target {target}; there are {}",
            all.join(", ")
        );
    }
    for target in all
        .iter()
        .filter(|target| args.targets.is_empty() || args.targets.contains(target))
    {
        println!("{target}, for {} s", args.seconds);
        let corpus = root().join("target/fuzz/corpus").join(target);
        fs::create_dir_all(&corpus)?;
        let status = Command::new("rustup")
            .args(["run", "nightly", "cargo", "fuzz", "run", "--fuzz-dir", FOLDER])
            .args(["--target-dir", "target/fuzz/build", target])
            .arg(&corpus)
            .args(seeds(target).iter().filter(|seeds| seeds.exists()))
            .arg("--")
            .args(["-rss_limit_mb=4096", "-timeout=10", "-print_final_stats=1"])
            .arg(format!("-max_total_time={}", args.seconds))
            .current_dir(root())
            .env_remove("RUSTUP_TOOLCHAIN")
            // Schemas that were learned are kept as long as the process lives, on purpose.
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .status()
            .context("rustup cannot be started; it runs the nightly compiler")?;
        ensure!(
            status.success(),
            "{target} failed. If it did not start: `rustup toolchain install nightly` and `cargo install --locked \
             cargo-fuzz`. Otherwise the input is in {FOLDER}/artifacts, and a test of it is to be written first"
        );
    }
    Ok(())
}

/// Input that is worth beginning with.
fn seeds(target: &str) -> Vec<PathBuf> {
    let mut seeds = vec![root().join(FOLDER).join("seeds").join(target)];
    if target == "schemas_of_others" {
        seeds.extend(["payment-request", "payment-status"].map(|event| root().join("schemas/avro").join(event)));
    }
    seeds
}

fn targets() -> anyhow::Result<Vec<String>> {
    let folder = root().join(FOLDER).join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_declared_and_named_in_the_help() {
        let manifest = fs::read_to_string(root().join(FOLDER).join("Cargo.toml")).expect("a manifest");
        let help = include_str!("fuzz.rs");
        let all = targets().expect("targets");
        assert!(!all.is_empty());
        for target in all {
            assert!(
                manifest.contains(&format!("name = \"{target}\"")),
                "{target} in the manifest"
            );
            assert!(help.contains(&format!("`{target}`")), "{target} in the help");
        }
    }
}
