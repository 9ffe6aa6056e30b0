//! Shows what the machine has, and what would be installed or fetched.

use crate::machine::packages::{BROWSER_NEEDS, NEEDS};

/// Prints a line per thing that the platform needs.
pub fn doctor() {
    for need in NEEDS.iter().chain(&BROWSER_NEEDS) {
        let state = if (need.is_there)() {
            "ok".to_owned()
        } else {
            format!("missing: apt-get install {}", need.package)
        };
        println!("{:<60} {state}", need.what);
    }
    let cache = crate::stack::cache();
    for part in ["kafka-4.1.1", "registry-3.3.3", "python"] {
        let state = if cache.join(part).exists() {
            "ok"
        } else {
            "will be fetched at the first start"
        };
        println!("{part:<60} {state}");
    }
}
