//! Bad records stop only themselves, or their key, and are applied once their cause is gone.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kassa::machine::process::Launch;
use kassa::stack::{Name, Stack, root};
use platform_tests::{Platform, Tables, eventually, produce};
use serde_json::{Value, json};
use sqlx::Row as _;

const TOPIC: &str = "payment-request";
const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn bad_records_are_parked_and_harm_nobody(platform: &Platform) -> anyhow::Result<()> {
    let brokers = platform.stack.settings().kafka_brokers();
    let user = &platform.users("poison", 1, "10.00").await?[0];
    let noise: Vec<u8> = (0..64_u8).map(|byte| byte.wrapping_mul(37) ^ 0x5a).collect();
    let unknown_schema = [&[0][..], &999_999_u32.to_be_bytes(), &[2, 65]].concat();
    // Two events of one order that disagree about the amount: the second breaks a rule.
    let order = platform.client.order(user, "1.00").await?;
    platform.client.terminal(user, &order, SOON).await?;
    let contradiction = event_of(platform, &order).await?;
    let contradiction = with_new_id(&contradiction)?;
    for (value, stage, cause) in [
        (noise, "deserialize", "Confluent's framing"),
        (unknown_schema, "deserialize", "unknown schema id 999999"),
        (contradiction, "process", "decided before"),
    ] {
        let headers = [("ce_source", "elsewhere"), ("x-note", "kept")];
        let at = produce(&brokers, TOPIC, user, Some(&value), &headers).await?;
        let mut found = None;
        eventually(SOON, "the record is a dead letter", async || {
            found = letter_at(platform, at.partition, at.offset).await?;
            Ok(found.is_some())
        })
        .await?;
        let (letter_stage, letter_cause, letter_headers) = found.context("found above")?;
        assert_eq!(letter_stage, stage);
        ensure!(letter_cause.contains(cause), "{letter_cause} does not name {cause}");
        let names: Vec<_> = letter_headers
            .as_array()
            .into_iter()
            .flatten()
            .map(|header| header[0].clone())
            .collect();
        assert_eq!(names, [json!("ce_source"), json!("x-note")]);
    }
    // Users of every partition are served as before.
    let others = platform.users("bystander", 12, "10.00").await?;
    let placed = platform.place_orders(&others, "1.00", 24).await?;
    assert_eq!(platform.all_terminal(&placed).await?, 24);
    discard_all(platform)?;
    platform.all_ready().await?;
    platform.tables.check().await
}

pub(crate) async fn a_parked_record_is_applied_once_its_cause_is_gone(platform: &Platform) -> anyhow::Result<()> {
    // A record under a schema that the registry does not know yet, and then does.
    let brokers = platform.stack.settings().kafka_brokers();
    let user = &platform.users("late", 1, "10.00").await?[0];
    let order = platform.client.order(user, "1.00").await?;
    platform.client.terminal(user, &order, SOON).await?;
    let known = event_of(platform, &order).await?;
    let next_id = register(
        platform,
        "probe-value",
        json!({ "type": "record", "name": "Probe", "fields": [] }),
    )
    .await?
        + 1;
    let value = [&[0][..], &u32::try_from(next_id)?.to_be_bytes(), &known[5..]].concat();
    let at = produce(&brokers, TOPIC, user, Some(&value), &[]).await?;
    eventually(SOON, "the record is a dead letter", async || {
        Ok(letter_at(platform, at.partition, at.offset).await?.is_some())
    })
    .await?;
    let attempts = "select count(*) from payment_attempts";
    let before = Tables::number(&platform.tables.payments, attempts).await?;

    let schema = tokio::fs::read_to_string(root().join("schemas/avro/payment-request/v1.avsc")).await?;
    let mut schema: Value = serde_json::from_str(&schema)?;
    schema["doc"] = json!("the same fields, written by somebody else");
    let id = register(platform, "elsewhere-value", schema).await?;
    assert_eq!(id, next_id, "the registry counts its ids");
    dead_letters(platform, &["replay", "--all"])?;
    ensure!(
        letter_at(platform, at.partition, at.offset).await?.is_none(),
        "the letter is still open"
    );
    // Its event was applied before, when it came under the known schema: so it was applied once, not twice.
    assert_eq!(Tables::number(&platform.tables.payments, attempts).await?, before);
    platform.tables.check().await
}

pub(crate) async fn a_key_waits_behind_its_failed_record_and_goes_on_in_order(
    platform: &Platform,
) -> anyhow::Result<()> {
    let payments = &platform.tables.payments;
    let users = platform.users("held", 2, "100.00").await?;
    sqlx::query("alter table payment_attempts add constraint unlucky check (amount <> 13.13) not valid")
        .execute(payments)
        .await?;
    let mut orders = Vec::new();
    for amount in ["1.00", "13.13", "2.00", "3.00"] {
        orders.push(platform.client.order(&users[0], amount).await?);
    }
    let other = platform.client.order(&users[1], "5.00").await?;
    let first = platform.client.terminal(&users[0], &orders[0], SOON).await?;
    assert_eq!(first["status"], "FINISHED");
    assert_eq!(
        platform.client.terminal(&users[1], &other, SOON).await?["status"],
        "FINISHED"
    );
    let waiting = "select count(*) from streams.dead_letter where state in ('pending', 'held')";
    eventually(SOON, "one failed and two wait behind it", async || {
        Ok(Tables::number(payments, waiting).await? == 3)
    })
    .await?;
    assert_eq!(platform.client.balance(&users[0]).await?, "99.00");
    let still_new = platform.client.get("/orders?status=NEW", &users[0]).await?;
    assert_eq!(still_new.body.as_array().map(Vec::len), Some(3));

    sqlx::query("alter table payment_attempts drop constraint unlucky")
        .execute(payments)
        .await?;
    dead_letters(platform, &["replay", "--all"])?;
    for order in &orders {
        assert_eq!(
            platform.client.terminal(&users[0], order, SOON).await?["status"],
            "FINISHED"
        );
    }
    let lines = platform
        .client
        .get("/accounts/transactions?limit=4", &users[0])
        .await?
        .body;
    let amounts: Vec<_> = lines
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|line| line["amount"].as_str())
        .collect();
    assert_eq!(
        amounts,
        ["-3.00", "-2.00", "-13.13", "-1.00"],
        "a parked key keeps its order"
    );
    platform.all_ready().await?;
    platform.tables.check().await
}

/// The bytes that the platform itself published for an order.
async fn event_of(platform: &Platform, order: &str) -> anyhow::Result<Vec<u8>> {
    let payload = "select payload from streams.outbox where subject = $1 order by id desc limit 1";
    let payload = sqlx::query_scalar(payload)
        .bind(order)
        .fetch_one(&platform.tables.orders)
        .await;
    payload.context("the order's event is in the outbox")
}

/// The same event under another id and with another amount. Avro writes a string as its length and its bytes.
pub(crate) fn with_new_id(payload: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut changed = payload.to_vec();
    let id = changed
        .get_mut(6..42)
        .context("an event id of 36 characters behind the frame")?;
    id.copy_from_slice(uuid::Uuid::now_v7().to_string().as_bytes());
    // 100 cents, in full width.
    let hundred = 100_i64.to_be_bytes();
    let at = changed
        .windows(8)
        .position(|window| window == hundred)
        .context("the amount's bytes")?;
    changed[at..at + 8].copy_from_slice(&777_i64.to_be_bytes());
    Ok(changed)
}

async fn letter_at(
    platform: &Platform,
    partition: i32,
    offset: i64,
) -> anyhow::Result<Option<(String, String, Value)>> {
    let letter = "
        select d.stage, d.cause, d.headers from streams.dead_letter d join streams.subscription s on s.id = d.subscription_id
         where s.topic = $1 and d.partition = $2 and d.\"offset\" = $3 and d.state in ('pending', 'held', 'replaying')";
    let letter = sqlx::query(letter).bind(TOPIC).bind(partition).bind(offset);
    let row = letter.fetch_optional(&platform.tables.payments).await?;
    Ok(row.map(|row| (row.get(0), row.get(1), row.get(2))))
}

pub(crate) async fn register(platform: &Platform, subject: &str, schema: Value) -> anyhow::Result<i64> {
    let url = format!(
        "{}/subjects/{subject}/versions",
        platform.stack.settings().registry_url()
    );
    let body = json!({ "schemaType": "AVRO", "schema": schema.to_string() });
    let answer = reqwest::Client::new()
        .post(url)
        .json(&body)
        .send()
        .await?
        .error_for_status()?;
    let answer: Value = answer.json().await?;
    answer["id"].as_i64().context("the registry gives an id")
}

/// The operator's command, as `kassa dead-letters` runs it.
fn dead_letters(platform: &Platform, args: &[&str]) -> anyhow::Result<String> {
    operator(platform, Name::PaymentsProcessor, args)
}

/// The operator's command of either service.
pub(crate) fn operator(platform: &Platform, processor: Name, args: &[&str]) -> anyhow::Result<String> {
    let settings = platform.stack.settings();
    let launch = Launch {
        program: root().join("target/debug").join(processor.as_str()),
        args: ["dead-letters"]
            .iter()
            .chain(args)
            .map(|arg| (*arg).to_owned())
            .collect(),
        env: Stack::env_of(settings, processor),
        folder: root(),
    };
    let mut command: Command = launch.command();
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{args:?} failed: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

fn discard_all(platform: &Platform) -> anyhow::Result<()> {
    let listed = dead_letters(platform, &["list"])?;
    let ids: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(['|', '│', '┆']).map(str::trim).find(|cell| !cell.is_empty()))
        .filter(|cell| cell.parse::<i64>().is_ok())
        .collect();
    ensure!(ids.len() == 3, "three dead letters are listed:\n{listed}");
    for id in &ids {
        let shown = dead_letters(platform, &["show", id])?;
        ensure!(shown.contains("x-note"), "show tells the headers:\n{shown}");
    }
    let discard: Vec<&str> = ["discard"]
        .into_iter()
        .chain(ids)
        .chain(["--reason", "made by a test"])
        .collect();
    dead_letters(platform, &discard)?;
    ensure!(
        dead_letters(platform, &["list"])?.contains("no dead letters"),
        "all are settled"
    );
    Ok(())
}
