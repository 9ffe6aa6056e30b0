//! What is built for use has no known mistakes and no points at which it dies.

use std::process::Command;

use kassa::commands::build::PLATFORM;
use kassa::stack::root;

const FOR_TESTS_ONLY: [&str; 2] = ["seeded-bugs", "crash-points"];

/// Every package that a build of `packages` links, with the features that it has then.
fn tree(packages: &[&str]) -> String {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal,build", "--prefix", "none", "--offline"])
        .args(["--format", "{p} [{f}]"])
        .args(packages)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8_lossy(&tree.stdout).into_owned()
}

#[test]
fn neither_the_platform_nor_an_image_has_known_mistakes_or_crash_points() {
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).expect("there is a Dockerfile");
    let (_, packages) = dockerfile.split_once("ENV PACKAGES=\"").expect("it names its packages");
    let packages = packages.split('"').next().unwrap_or_default().replace('\\', " ");
    let image: Vec<&str> = packages.split_whitespace().collect();
    let platform: Vec<&str> = PLATFORM.into_iter().filter(|word| *word != "--bins").collect();
    for built in [platform, image] {
        let tree = tree(&built);
        for program in ["gateway v", "http-kit v", "streams v"] {
            assert!(tree.lines().any(|line| line.starts_with(program)), "{built:?}: {tree}");
        }
        for feature in FOR_TESTS_ONLY {
            assert!(!tree.contains(feature), "{built:?} has {feature}");
        }
    }
}

#[test]
fn the_tests_have_both() {
    let tree = tree(&["--workspace", "--all-features"]);
    for feature in FOR_TESTS_ONLY {
        assert!(tree.contains(feature), "{feature}");
    }
}
