//! Processors as members of their group: one that is killed, one that is stopped, two with one name.

use std::time::Duration;

use anyhow::ensure;
use kassa::stack::Name;
use platform_tests::{Platform, eventually};

const PROCESSOR: Name = Name::PaymentsProcessor;
const SOON: Duration = Duration::from_secs(30);
/// Longer than anything is waited for here: what comes about before has not come about by a time-out.
const SESSION: (&str, &str) = ("KASSA_KAFKA_SESSION_TIMEOUT_MS", "60000");

pub(crate) async fn a_killed_processor_has_its_partitions_back_and_the_others_notice_nothing(
    platform: &Platform,
) -> anyhow::Result<()> {
    let second = platform.stack.add_replica_with(PROCESSOR, &[SESSION])?;
    holding(platform, second, "holding 2 partitions").await?;
    holding(platform, 0, "holding 2 partitions").await?;
    let (mine, others) = (changes(platform, second).await?, changes(platform, 0).await?);
    platform.stack.kill9(PROCESSOR, second);
    eventually(SOON, "it has its partitions back", async || {
        let now = changes(platform, second).await?;
        Ok(now.len() > mine.len() && now.last() == mine.last())
    })
    .await?;
    platform.all_ready().await?;
    ensure!(
        changes(platform, 0).await? == others,
        "the other one was disturbed: {others:?}"
    );
    platform.stack.remove_replica(PROCESSOR);
    works(platform).await
}

pub(crate) async fn a_processor_that_is_asked_to_stop_hands_its_partitions_over(
    platform: &Platform,
) -> anyhow::Result<()> {
    let second = platform.stack.add_replica_with(PROCESSOR, &[SESSION])?;
    holding(platform, second, "holding 2 partitions").await?;
    platform.stack.remove_replica(PROCESSOR);
    holding(platform, 0, "holding 4 partitions").await?;
    works(platform).await
}

pub(crate) async fn of_two_processes_with_one_name_the_older_one_ends(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("namesake", 5, "100.00").await?;
    let log = platform.stack.log(PROCESSOR, 0);
    let told = tokio::fs::read_to_string(&log).await?.len();
    let fence = async {
        let same = [("KASSA_KAFKA_INSTANCE_ID", PROCESSOR.as_str())];
        platform.stack.add_replica_with(PROCESSOR, &same)?;
        eventually(SOON, "the older one ends, and says why", async || {
            let text = tokio::fs::read_to_string(&log).await?;
            Ok(text[told..].contains("Error: the group has put another process in the place of payments-processor"))
        })
        .await
    };
    let (placed, fenced) = tokio::join!(platform.place_orders(&users, "10.00", 100), fence);
    // Restarted, the older one is the newer one: they would go on like that.
    platform.stack.remove_replica(PROCESSOR);
    fenced?;
    ensure!(platform.all_terminal(&placed?).await? == 50, "each is decided once");
    platform.all_ready().await?;
    platform.tables.check().await
}

/// One more than there are partitions: it waits for somebody's place, and is as healthy as they are.
pub(crate) async fn a_processor_that_is_left_without_partitions_is_ready(platform: &Platform) -> anyhow::Result<()> {
    for _ in 0..4 {
        platform.stack.add_replica(PROCESSOR)?;
    }
    eventually(SOON, "each of four holds one", async || {
        let mut holders = 0;
        for replica in 0..5 {
            let changes = changes(platform, replica).await?;
            holders += usize::from(
                changes
                    .last()
                    .is_some_and(|last| last.starts_with("holding 1 partitions")),
            );
        }
        Ok(holders == 4)
    })
    .await?;
    platform.all_ready().await?;
    for _ in 0..4 {
        platform.stack.remove_replica(PROCESSOR);
    }
    works(platform).await
}

/// Whether orders go through, and the books are right.
async fn works(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("member", 2, "100.00").await?;
    let placed = platform.place_orders(&users, "10.00", 20).await?;
    ensure!(platform.all_terminal(&placed).await? == 20, "all of them are paid");
    platform.all_ready().await?;
    platform.tables.check().await
}

async fn holding(platform: &Platform, replica: usize, what: &str) -> anyhow::Result<()> {
    eventually(SOON, what, async || {
        let changes = changes(platform, replica).await?;
        Ok(changes.last().is_some_and(|last| last.starts_with(what)))
    })
    .await
}

/// What the replica has said of its partitions, one after the other.
async fn changes(platform: &Platform, replica: usize) -> anyhow::Result<Vec<String>> {
    let text = tokio::fs::read_to_string(platform.stack.log(PROCESSOR, replica)).await?;
    let said = text
        .lines()
        .filter_map(|line| line.find("holding ").map(|at| &line[at..]));
    Ok(said.map(str::to_owned).collect())
}
