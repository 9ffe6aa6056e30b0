//! What the library must not know.

use std::fs;
use std::path::{Path, PathBuf};

/// Words of services that are built on the library. Whole words, in code and comments alike.
const DOMAIN: [&str; 12] = [
    "order", "orders", "payment", "payments", "account", "accounts", "balance", "money", "amount", "debit", "ledger",
    "charge",
];

/// English that only looks like the domain.
const HARMLESS: [&str; 10] = [
    "in order",
    "in the order",
    "in that order",
    "out of order",
    "order by",
    "opposite orders",
    "key order",
    "their order",
    "own order",
    "the order of",
];

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found
}

fn crate_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_domain_word_is_in_it() {
    let mut paths = files(&crate_folder().join("src"), "rs");
    paths.extend(files(&crate_folder().join("migrations"), "sql"));
    assert!(paths.len() > 30, "the library is where it is looked for");
    for path in paths {
        let text = fs::read_to_string(&path).expect("a text file");
        for (number, line) in text.lines().enumerate() {
            let mut line = line.to_lowercase().replace('_', " ");
            for harmless in HARMLESS {
                line = line.replace(harmless, "");
            }
            let words = line.split(|c: char| !c.is_alphanumeric());
            for word in words {
                assert!(!DOMAIN.contains(&word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn one_folder_names_the_broker_library() {
    for path in files(&crate_folder().join("src"), "rs") {
        let text = fs::read_to_string(&path).expect("a text file");
        let is_kafka = path.components().any(|part| part.as_os_str() == "kafka");
        assert!(is_kafka || !text.contains("rdkafka"), "{}", path.display());
    }
}
