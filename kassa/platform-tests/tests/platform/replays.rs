//! What was applied once is not applied again: not from a replayed topic, not by a consumer that woke up late.

use std::time::Duration;

use anyhow::ensure;
use kassa::stack::Name;
use platform_tests::{Platform, Tables, eventually};

const REWIND: &str = "update streams.consumer_position set next_offset = 0";
const POSITIONS: &str = "select coalesce(sum(next_offset), 0)::bigint from streams.consumer_position";

pub(crate) async fn replayed_topics_change_no_row(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("replay", 5, "50.00").await?;
    let placed = platform.place_orders(&users, "10.00", 50).await?;
    platform.all_terminal(&placed).await?;
    quiet(platform).await?;
    let before = platform.tables.digest().await?;
    for (name, pool) in [
        (Name::OrdersProcessor, &platform.tables.orders),
        (Name::PaymentsProcessor, &platform.tables.payments),
    ] {
        let end = Tables::number(pool, POSITIONS).await?;
        ensure!(end > 0, "there is nothing to replay");
        platform.stack.stop_one(name, 0);
        sqlx::query(REWIND).execute(pool).await?;
        platform.stack.start_one(name, 0)?;
        eventually(Duration::from_secs(90), "everything is read again", async || {
            Ok(Tables::number(pool, POSITIONS).await? == end)
        })
        .await?;
    }
    quiet(platform).await?;
    assert_eq!(platform.tables.digest().await?, before);
    platform.all_ready().await?;
    platform.tables.check().await
}

pub(crate) async fn positions_beyond_the_end_of_a_topic_go_back_to_its_records(
    platform: &Platform,
) -> anyhow::Result<()> {
    let users = platform.users("restart", 3, "50.00").await?;
    let pool = &platform.tables.payments;
    let placed = platform.place_orders(&users, "5.00", 6).await?;
    platform.all_terminal(&placed).await?;
    quiet(platform).await?;
    let end = Tables::number(pool, POSITIONS).await?;
    // As after the topic was lost and made again: there is less of it than was read.
    platform.stack.stop_one(Name::PaymentsProcessor, 0);
    sqlx::query("update streams.consumer_position set next_offset = next_offset + 1000000 where next_offset > 0")
        .execute(pool)
        .await?;
    platform.stack.start_one(Name::PaymentsProcessor, 0)?;
    let placed = platform.place_orders(&users, "5.00", 60).await?;
    assert_eq!(platform.all_terminal(&placed).await?, 24);
    quiet(platform).await?;
    let beyond = "select count(*) from streams.consumer_position where next_offset > 1000000";
    eventually(
        Duration::from_secs(30),
        "every partition is read from its beginning",
        async || Ok(Tables::number(pool, beyond).await? == 0),
    )
    .await?;
    assert_eq!(Tables::number(pool, POSITIONS).await?, end + 60);

    // Whoever starts now goes on at these, and steps over nothing.
    platform.stack.stop_one(Name::PaymentsProcessor, 0);
    let placed = platform.place_orders(&users, "5.00", 5).await?;
    platform.stack.start_one(Name::PaymentsProcessor, 0)?;
    platform.all_terminal(&placed).await?;
    platform.all_ready().await?;
    platform.tables.check().await
}

pub(crate) async fn a_stalled_consumer_that_wakes_up_writes_nothing(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("zombie", 10, "100.00").await?;
    let second = platform.stack.add_replica(Name::PaymentsProcessor)?;
    platform.all_ready().await?;
    // Both own partitions and have records in hand when the first one stops in mid-step.
    let stall = async {
        eventually(Duration::from_secs(30), "the work has begun", async || {
            let done = "select count(*) from payment_attempts where decided_at > now() - interval '2 seconds'";
            Ok(Tables::number(&platform.tables.payments, done).await? >= 30)
        })
        .await?;
        platform.stack.pause(Name::PaymentsProcessor, 0);
        anyhow::Ok(())
    };
    let (placed, stalled) = tokio::join!(platform.place_orders(&users, "10.00", 200), stall);
    stalled?;
    let paid = platform.all_terminal(&placed?).await?;
    assert_eq!(paid, 100);
    quiet(platform).await?;
    let before = platform.tables.digest().await?;
    platform.stack.resume(Name::PaymentsProcessor, 0);
    platform.all_ready().await?;
    rejoined(platform).await?;
    assert_eq!(platform.tables.digest().await?, before);

    // And the one that slept works again: alone.
    platform.stack.remove_replica(Name::PaymentsProcessor);
    ensure!(second == 1, "one more process");
    let placed = platform.place_orders(&users, "10.00", 20).await?;
    platform.all_terminal(&placed).await?;
    platform.all_ready().await?;
    platform.tables.check().await
}

/// The woken process owns partitions again: each has an epoch above the one of the take-over.
async fn rejoined(platform: &Platform) -> anyhow::Result<()> {
    let log = platform.stack.log(Name::PaymentsProcessor, 0);
    eventually(
        Duration::from_secs(60),
        "the woken process joins the group again",
        async || {
            let text = tokio::fs::read_to_string(&log).await?;
            let last = text.lines().rev().find(|line| line.contains("holding "));
            Ok(last.is_some_and(|line| !line.contains("holding 0 partitions")))
        },
    )
    .await
}

/// Waits until nothing has moved for a while: both positions and both outboxes stand still.
pub(crate) async fn quiet(platform: &Platform) -> anyhow::Result<()> {
    let moved = "select coalesce(sum(next_offset), 0)::bigint
                        + (select count(*) from streams.outbox)::bigint from streams.consumer_position";
    let mut last = (0, 0);
    let mut same = 0;
    eventually(Duration::from_secs(60), "nothing moves any more", async || {
        let orders = Tables::number(&platform.tables.orders, moved).await?;
        let payments = Tables::number(&platform.tables.payments, moved).await?;
        same = if last == (orders, payments) { same + 1 } else { 0 };
        last = (orders, payments);
        Ok(same >= 10)
    })
    .await
}
