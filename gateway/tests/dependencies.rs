//! What the public door does not link.

use std::process::Command;

#[test]
fn the_gateway_links_neither_kafka_nor_postgres() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "gateway", "-e", "normal", "--prefix", "none", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.contains("hyper-util "), "the tree is there: {tree}");
    for absent in ["rdkafka", "sqlx", "streams", "orders", "payments", "schemas"] {
        let is_it = |line: &str| {
            line.split(' ')
                .next()
                .is_some_and(|name| name == absent || name.starts_with(&format!("{absent}-")))
        };
        assert!(!tree.lines().any(is_it), "the gateway depends on {absent}");
    }
}
