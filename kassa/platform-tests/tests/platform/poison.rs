//! The matrix of bad records: each kind on each topic is parked with its reason while good ones around it go through;
//! then an operator settles all of them, many at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kassa::stack::{Name, root};
use platform_tests::{Placed, Platform, Produced, eventually, produce};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::dead_letters::{operator, register, with_new_id};

/// How long a record may take to be parked and passed: a limit for a busy machine, not a measurement.
const SOON: Duration = Duration::from_secs(15);
const WHY: &str = "poison, made by a test";
/// What a broker takes, and no event has.
const MEGABYTE: usize = 1_000_000;

/// One topic: who writes it, who reads it.
struct Side<'a> {
    topic: &'static str,
    sender: &'a PgPool,
    receiver: &'a PgPool,
    processor: Name,
    schema: &'static str,
    /// How long each bad record kept its partition.
    kept: Mutex<Vec<Duration>>,
}

/// A record that cannot be applied, and as what it must be parked.
struct Bad {
    reason: &'static str,
    cause: &'static str,
    value: Option<Vec<u8>>,
}

pub(crate) async fn every_kind_of_bad_request_is_parked_and_stops_nobody(platform: &Platform) -> anyhow::Result<()> {
    let side = Side {
        topic: "payment-request",
        sender: &platform.tables.orders,
        receiver: &platform.tables.payments,
        processor: Name::PaymentsProcessor,
        schema: "schemas/avro/payment-request/v1.avsc",
        kept: Mutex::default(),
    };
    let users = platform.users("matrix", 2, "100.00").await?;
    let others = platform.users("beside", 8, "100.00").await?;
    let (user, sample) = (&users[0], side.sample(platform, &users[0]).await?);
    let (mut own, mut beside) = (vec![sample.order.clone()], Vec::new());
    let mut parked = Vec::new();
    for bad in side.undecodable(platform, &sample.value).await? {
        // The key's bytes are those of a user, but the event in it is another one's.
        let key = if bad.reason == "wrong_key" { &users[1] } else { user };
        parked.push((bad.reason, side.park(platform, key, &bad).await?));
        // Behind it: the same key, which is not held by what is no event, and others, on every partition.
        own.push(platform.client.order(user, "1.00").await?);
        beside.extend(platform.place_orders(&others, "1.00", 8).await?);
    }
    // Of one order another event, which says something else: the user's later orders wait behind it.
    let contradiction = Bad {
        reason: "rejected",
        cause: "decided before",
        value: Some(with_new_id(&sample.value)?),
    };
    wait_for_end(platform, user, &own).await?;
    parked.push(("rejected", side.park(platform, user, &contradiction).await?));
    let held = [
        platform.client.order(user, "2.00").await?,
        platform.client.order(user, "3.00").await?,
    ];
    beside.extend(platform.place_orders(&others, "1.00", 8).await?);
    side.wait_for_open(parked.len() + held.len()).await?;
    let beside_count = beside.len();
    ensure!(
        platform.all_terminal(&beside).await? == beside_count,
        "others are served"
    );
    side.settle_undecodable(platform, &parked).await?;

    side.operate(
        platform,
        &[
            "discard",
            "--where",
            "topic=payment-request,reason=rejected",
            "--reason",
            WHY,
        ],
    )?;
    own.extend(held);
    wait_for_end(platform, user, &own).await?;
    let paid: Vec<Uuid> =
        sqlx::query_scalar("select order_id from ledger where user_id = $1 and kind = 'payment' order by version")
            .bind(user)
            .fetch_all(side.receiver)
            .await?;
    let paid: Vec<String> = paid.iter().map(Uuid::to_string).collect();
    assert_eq!(
        paid, own,
        "one payment for each, in the order in which they were placed"
    );
    side.discard_the_rest(platform, parked.len() - 1).await
}

pub(crate) async fn every_kind_of_bad_status_is_parked_and_stops_nobody(platform: &Platform) -> anyhow::Result<()> {
    let side = Side {
        topic: "payment-status",
        sender: &platform.tables.payments,
        receiver: &platform.tables.orders,
        processor: Name::OrdersProcessor,
        schema: "schemas/avro/payment-status/v2.avsc",
        kept: Mutex::default(),
    };
    let user = &platform.users("matrix", 1, "100.00").await?[0];
    let sample = side.sample(platform, user).await?;
    let bads = side.undecodable(platform, &sample.value).await?;
    // Each bad record comes under the key of an order whose real status is still to come.
    platform.stack.stop_one(Name::PaymentsProcessor, 0);
    let (mut own, mut parked) = (Vec::new(), Vec::new());
    for bad in &bads {
        let order = platform.client.order(user, "1.00").await?;
        // Once its schema is known it is the sample's event again, under that one's key.
        let key = if bad.reason == "unknown_schema" {
            &sample.order
        } else {
            &order
        };
        parked.push((bad.reason, side.park(platform, key, bad).await?));
        own.push(order);
    }
    // Two statuses of an order that nobody has placed: the second waits behind the first.
    let nobodys = Uuid::now_v7().to_string();
    for (reason, cause) in [("rejected", "there is no order"), ("held", "an earlier record")] {
        let mut value = sample.value.clone();
        value[6..42].copy_from_slice(Uuid::now_v7().to_string().as_bytes());
        value[43..79].copy_from_slice(nobodys.as_bytes());
        let bad = Bad {
            reason,
            cause,
            value: Some(value),
        };
        parked.push((reason, side.park(platform, &nobodys, &bad).await?));
    }
    platform.stack.start_one(Name::PaymentsProcessor, 0)?;
    wait_for_end(platform, user, &own).await?;
    side.wait_for_open(parked.len()).await?;
    side.settle_undecodable(platform, &parked).await?;

    // What waits behind a record is tried as soon as that is given up, and is as impossible.
    side.operate(
        platform,
        &[
            "discard",
            "--where",
            "topic=payment-status,reason=rejected",
            "--reason",
            WHY,
        ],
    )?;
    eventually(SOON, "the held one was tried", async || {
        Ok(side.open("held").await? == 0)
    })
    .await?;
    ensure!(side.open("rejected").await? == 1, "it failed for its own reason");
    side.discard_the_rest(platform, parked.len() - 1).await
}

/// An order that went through, and the event of it on a topic.
struct Sample {
    order: String,
    value: Vec<u8>,
}

impl Side<'_> {
    async fn sample(&self, platform: &Platform, user: &str) -> anyhow::Result<Sample> {
        let order = platform.client.order(user, "1.00").await?;
        platform.client.terminal(user, &order, SOON).await?;
        let value = sqlx::query_scalar("select payload from streams.outbox where subject = $1 and topic = $2")
            .bind(&order)
            .bind(self.topic)
            .fetch_one(self.sender)
            .await
            .context("the order's event is in the outbox")?;
        Ok(Sample { order, value })
    }

    /// Seven kinds that are no event of this topic, whatever state the receiver is in.
    async fn undecodable(&self, platform: &Platform, sample: &[u8]) -> anyhow::Result<Vec<Bad>> {
        let noise = (0..200_u8).map(|byte| byte.wrapping_mul(37) ^ 0x5a).collect();
        let wrong_magic = [&[1], &sample[1..]].concat();
        let mut large = sample.to_vec();
        large.resize(MEGABYTE, 0);
        let name = if self.topic == "payment-request" {
            "PaymentRequest"
        } else {
            "PaymentStatus"
        };
        let other = json!({ "type": "record", "name": name, "namespace": "kassa.events", "fields": [
            { "name": "eventId", "type": "long" }, { "name": "what", "type": ["null", "string"] } ] });
        let incompatible = register(platform, &format!("other-{}-value", self.topic), other).await?;
        // The registry counts its ids, and this one is given to a schema further down.
        let unknown = incompatible + 1;
        let under = |id: i64| anyhow::Ok([&[0][..], &u32::try_from(id)?.to_be_bytes(), &sample[5..]].concat());
        let bad = |reason, cause, value| Bad { reason, cause, value };
        Ok(vec![
            bad("undecodable", "Confluent's framing", Some(noise)),
            bad("undecodable", "the first byte is 1", Some(wrong_magic)),
            bad("unknown_schema", "there is no schema id", Some(under(unknown)?)),
            bad(
                "incompatible_schema",
                "is not for this event",
                Some(under(incompatible)?),
            ),
            bad("wrong_key", "is not the event's key", Some(sample.to_vec())),
            bad("no_value", "no value", None),
            bad("too_large", "1000000 bytes", Some(large)),
        ])
    }

    /// Produces a bad record and waits until it is a dead letter, and its partition has moved past it.
    async fn park(&self, platform: &Platform, key: &str, bad: &Bad) -> anyhow::Result<Produced> {
        let brokers = platform.stack.settings().kafka_brokers();
        let at = produce(&brokers, self.topic, key, bad.value.as_deref(), &[]).await?;
        let arrived = Instant::now();
        let passed = "
            select p.next_offset > $3 from streams.consumer_position p join streams.subscription s on s.id = p.subscription_id
             where s.topic = $1 and p.partition = $2";
        eventually(SOON, &format!("{}: its partition goes on", bad.reason), async || {
            let passed = sqlx::query_scalar(passed)
                .bind(self.topic)
                .bind(at.partition)
                .bind(at.offset);
            Ok(passed.fetch_one(self.receiver).await?)
        })
        .await?;
        self.kept().push(arrived.elapsed());
        let letter = "
            select d.reason_code, d.cause, d.record_value from streams.dead_letter d
              join streams.subscription s on s.id = d.subscription_id
             where s.topic = $1 and d.partition = $2 and d.\"offset\" = $3";
        let letter = sqlx::query_as(letter)
            .bind(self.topic)
            .bind(at.partition)
            .bind(at.offset);
        let (reason, cause, value): (String, String, Option<Vec<u8>>) =
            letter.fetch_one(self.receiver).await.context(bad.reason)?;
        ensure!(reason == bad.reason, "{} was parked as {reason}: {cause}", bad.reason);
        ensure!(cause.contains(bad.cause), "{reason}: {cause}");
        ensure!(value == bad.value, "{reason}: its bytes are kept");
        Ok(at)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self, reason: &str) -> anyhow::Result<i64> {
        let open = "
            select count(*) from streams.dead_letter d join streams.subscription s on s.id = d.subscription_id
             where s.topic = $1 and d.state in ('pending', 'held', 'replaying') and ($2 = '' or d.reason_code = $2)";
        let open = sqlx::query_scalar(open).bind(self.topic).bind(reason);
        Ok(open.fetch_one(self.receiver).await?)
    }

    async fn wait_for_open(&self, count: usize) -> anyhow::Result<()> {
        let count = i64::try_from(count)?;
        eventually(SOON, "all of them are parked", async || {
            Ok(self.open("").await? == count)
        })
        .await
    }

    fn operate(&self, platform: &Platform, args: &[&str]) -> anyhow::Result<String> {
        operator(platform, self.processor, args)
    }

    /// The list shows each under its reason; a replay changes nothing while the cause is there, and nothing twice.
    async fn settle_undecodable(&self, platform: &Platform, parked: &[(&str, Produced)]) -> anyhow::Result<()> {
        for (reason, at) in parked {
            let only = format!("reason={reason},topic={}", self.topic);
            let listed = self.operate(platform, &["list", "--where", &only])?;
            let place = format!("{}[{}]@{}", self.topic, at.partition, at.offset);
            ensure!(listed.contains(&place), "{place} is not among {reason}:\n{listed}");
        }
        let before = platform.tables.digest().await?;
        for (reason, count) in [("undecodable", 2), ("incompatible_schema", 1), ("unknown_schema", 1)] {
            let only = format!("topic={},reason={reason}", self.topic);
            let refusal = self.operate(platform, &["replay", "--where", &only]);
            let refusal = refusal.err().context("it fails again")?.to_string();
            ensure!(refusal.contains(&format!("{count} failed again")), "{refusal}");
            ensure!(self.open(reason).await? == count, "{reason}: they wait as before");
        }
        // The unknown schema becomes known. Its event was applied before, under another one: so it is not applied twice.
        let schema = tokio::fs::read_to_string(root().join(self.schema)).await?;
        let mut schema: Value = serde_json::from_str(&schema)?;
        schema["doc"] = json!(format!("the same fields on {}, written by somebody else", self.topic));
        register(platform, &format!("elsewhere-{}-value", self.topic), schema).await?;
        let only = format!("topic={},reason=unknown_schema", self.topic);
        self.operate(platform, &["replay", "--where", &only])?;
        ensure!(self.open("unknown_schema").await? == 0, "it is settled");
        assert_eq!(platform.tables.digest().await?, before, "no replay changed a row");
        Ok(())
    }

    /// Gives up what is left, which takes a reason and keeps it. Then the books are right.
    async fn discard_the_rest(&self, platform: &Platform, of: usize) -> anyhow::Result<()> {
        let only = format!("topic={}", self.topic);
        let refusal = self.operate(platform, &["discard", "--where", &only]);
        let refusal = refusal.err().context("it wants a reason")?.to_string();
        ensure!(refusal.contains("--reason"), "{refusal}");
        self.operate(platform, &["discard", "--where", &only, "--reason", WHY])?;
        ensure!(self.open("").await? == 0, "nothing waits any more");
        let kept = "
            select count(*) from streams.dead_letter d join streams.subscription s on s.id = d.subscription_id
             where s.topic = $1 and d.state = 'discarded' and d.reason = $2 and d.updated_at > now() - interval '1 minute'";
        let kept: i64 = sqlx::query_scalar(kept)
            .bind(self.topic)
            .bind(WHY)
            .fetch_one(self.receiver)
            .await?;
        // The one that was replayed is not among them.
        ensure!(usize::try_from(kept)? == of, "{kept} of {of} keep the reason");
        platform.all_ready().await?;
        platform.tables.check().await?;
        let kept = self.kept();
        let figures = [
            ("bad records", kept.len().to_string()),
            (
                "until its partition went on (shortest / median / longest)",
                kassa::evidence::range(kept.iter().copied()),
            ),
        ];
        kassa::evidence::record(&format!("poison, {}", self.topic), &figures);
        Ok(())
    }
}

async fn wait_for_end(platform: &Platform, user: &str, orders: &[String]) -> anyhow::Result<()> {
    let placed = orders.iter().map(|id| Placed {
        user: user.to_owned(),
        id: id.clone(),
    });
    let placed: Vec<Placed> = placed.collect();
    let paid = platform.all_terminal(&placed).await?;
    ensure!(paid == orders.len(), "{paid} of {} are paid", orders.len());
    Ok(())
}
