//! `cargo kassa screenshots`: the README's pictures of the page, taken from a platform that runs.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use super::build::build;
use crate::page_script;
use crate::stack::{Say, Settings, Stack, root};

/// Starts a platform of its own, tells a story on it, and writes `docs/images/page-*.png`.
///
/// # Errors
/// Something does not start, or the story goes wrong.
pub fn screenshots() -> anyhow::Result<()> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let stop = is_stopping.clone();
    ctrlc::set_handler(move || stop.store(true, Ordering::Release)).context("could not listen for Ctrl-C")?;
    let say: Say = Arc::new(|text: &str| println!("  {text}"));
    let settings = Settings::temporary("screenshots")?;
    build(settings.profile)?;
    let mut stack = Stack::new(settings, say.clone())?;
    stack.cancel_with(is_stopping);
    stack.start()?;
    let images = root().join("docs/images");
    fs::create_dir_all(&images)?;
    page_script::run(&stack, "screenshots.mjs", Some(&images), &|text| say(text))
}
