//! The Compose specification's own schema, which the PyPI package `check-jsonschema` carries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use kassa::machine::{fetch, packages};
use kassa::stack::{cache, root};

use crate::compose_file::text;

/// Made once: two tests that install at the same time would disturb each other.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    packages::python(&cache(), &["check_jsonschema"], &|text| println!("{text}")).expect("check-jsonschema from PyPI")
});

fn validate(file: &Path) -> anyhow::Result<String> {
    let schema = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"];
    fetch::output(Command::new(&*PYTHON).args(schema).arg(file))
}

/// What the schema says to the file with one text replaced.
fn validate_with(name: &str, from: &str, to: &str) -> String {
    let original = text();
    assert!(original.contains(from), "docker-compose.yml no longer says {from:?}");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&copy, original.replace(from, to)).expect("the copy can be written");
    validate(&copy).expect_err("a broken file is refused").to_string()
}

#[test]
fn the_file_follows_the_compose_specification() {
    validate(&root().join("docker-compose.yml")).expect("a valid file");
}

#[test]
fn an_unknown_key_is_refused() {
    let refusal = validate_with("unknown-key.yml", "restart: unless-stopped", "restarts: unless-stopped");
    assert!(refusal.contains("'restarts' was unexpected"), "{refusal}");
}

#[test]
fn an_unknown_condition_is_refused() {
    let refusal = validate_with(
        "unknown-condition.yml",
        "condition: service_healthy",
        "condition: healthy",
    );
    assert!(refusal.contains("depends_on"), "{refusal}");
}
