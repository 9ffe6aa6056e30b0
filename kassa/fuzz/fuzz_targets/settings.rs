//! Settings files as operators write them: read, or refused with a message that names the key.

#![no_main]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use http_kit::settings::{SettingsArgs, load};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// In memory, one for each process that fuzzes.
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("kassa-fuzz-settings-{}.toml", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("a file");
    let flag = std::str::from_utf8(bytes).ok().map(str::to_owned);
    for (config, set) in [(Some(FILE.clone()), Vec::new()), (None, flag.into_iter().collect())] {
        let args = SettingsArgs { config, set };
        match load::<HashMap<String, Value>>(&args, "127.0.0.1:0") {
            Ok((common, _)) => drop(common.credential()),
            Err(refusal) => assert!(!format!("{refusal:#}").is_empty()),
        }
    }
});
