//! A disk that is full: Postgres cannot write its log any more, and stops until somebody makes room.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use libtest_mimic::Trial;
use platform_tests::{LinkName, SmallDisk, Tables, eventually};

use crate::Bench;
use crate::cases::Health;
use crate::episode::Episode;
use crate::trial;

/// How soon a server that has room again must have read its log.
const RETURN: Duration = Duration::from_secs(60);

pub(crate) fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    if bench.disk.is_none() {
        println!("  disk::… is left out: a small disk cannot be mounted here, which takes root's rights");
    }
    let full = trial(bench, "disk::no_room_for_the_log".to_owned(), no_room_for_the_log);
    vec![full.with_ignored_flag(bench.disk.is_none())]
}

async fn no_room_for_the_log(bench: &Bench) -> anyhow::Result<()> {
    let disk = bench.disk.as_ref().context("it is ignored without one")?;
    let mut episode = Episode::begin(bench, "disk::no_room_for_the_log".to_owned(), LinkName::Postgres).await?;
    disk.fill()?;
    episode.note("the disk of the log is full");
    let seen = tokio::select! {
        seen = episode.suffer(Health::TurnsRed, async || Ok(1)) => seen,
        failed = stay_full(disk, &bench.platform.tables) => failed,
    };
    disk.free()?;
    episode.note("there is room again");
    // The server starts anew and reads its log; whoever waits for it can only be well after that.
    let answers = async || {
        Ok(sqlx::query("select 1")
            .execute(&bench.platform.tables.orders)
            .await
            .is_ok())
    };
    eventually(RETURN, "the server answers again", answers).await?;
    episode.note("the server answers again");
    episode.end(seen).await
}

/// Uses up what the server has set aside, and whatever it gives back when it starts again.
async fn stay_full(disk: &SmallDisk, tables: &Tables) -> anyhow::Result<()> {
    loop {
        // Fails as soon as there is nobody to ask.
        let next = sqlx::query("select pg_switch_wal(), pg_logical_emit_message(false, 'full', repeat('x', 500000))");
        let _ = tokio::time::timeout(Duration::from_millis(500), next.execute(&tables.orders)).await;
        disk.fill()?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
