//! The gateway's page in a real browser; what happens on it is told by the scripts in `tests/page`.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};
use kassa::machine::packages::{BROWSER_NEEDS, install};
use kassa::page_script;
use platform_tests::Platform;

/// A test whose story is a script.
macro_rules! stories {
    ($($test:ident: $script:literal),* $(,)?) => {
        $(pub(crate) async fn $test(platform: &Platform) -> anyhow::Result<()> {
            play(platform, $script).await
        })*
    };
}

stories! {
    a_person_orders_and_sees_it_paid_or_declined: "paid-and-declined.mjs",
    two_tabs_and_another_browser_agree: "two-tabs.mjs",
    an_order_waits_in_sight_and_finishes_by_itself: "waiting.mjs",
    what_is_wrong_is_said_at_its_field: "wrong-amount.mjs",
    everything_is_done_without_a_mouse: "keyboard.mjs",
    nothing_is_done_twice_when_an_answer_is_lost: "lost-answer.mjs",
    an_order_is_watched_without_its_stream_too: "broken-stream.mjs",
    it_fits_a_telephone_and_both_colour_schemes: "appearance.mjs",
}

pub(crate) async fn its_modules_keep_their_promises(_: &Platform) -> anyhow::Result<()> {
    install(&BROWSER_NEEDS, &|text| println!("  {text}"))?;
    let mut tests = Vec::new();
    for entry in fs::read_dir(page_script::folder().join("unit"))? {
        tests.push(entry?.path());
    }
    let done = Command::new("node").arg("--test").args(tests).output();
    let done = done.context("node does not start")?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    Ok(())
}

async fn play(platform: &Platform, script: &str) -> anyhow::Result<()> {
    let say = |text: &str| println!("  {text}");
    tokio::task::block_in_place(|| page_script::run(&platform.stack, script, None, &say))?;
    platform.all_ready().await?;
    platform.tables.check().await
}
