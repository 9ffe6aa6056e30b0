//! One case under load, from the first order to the audit, with a timeline of what was seen.

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use kassa::stack::Name;
use platform_tests::{LinkName, Load, Platform, Tally, eventually};

use crate::cases::Health;
use crate::{Bench, Times};

/// How soon a broken link must be seen.
const RED: Duration = Duration::from_secs(20);
/// How soon everything must be well again.
const GREEN: Duration = Duration::from_secs(40);
const USERS: usize = 4;

/// A case that is under way.
pub(crate) struct Episode<'a> {
    bench: &'a Bench,
    platform: &'a Platform,
    title: String,
    seed: u64,
    watched: &'static [Name],
    parts: &'static [&'static str],
    users: Vec<String>,
    load: Load,
    letters: i64,
    started: Instant,
    timeline: Vec<(Duration, String)>,
    http: reqwest::Client,
}

impl<'a> Episode<'a> {
    /// Lets users order, and returns once they are at it. It concerns those who use `link`.
    pub(crate) async fn begin(bench: &'a Bench, title: String, link: LinkName) -> anyhow::Result<Self> {
        let platform = &bench.platform;
        let users = platform
            .users(&title.replace([':', '_'], "-"), USERS, "5000.00")
            .await?;
        let letters = platform.tables.open_letters().await?;
        let load = Load::start(&platform.client, &users);
        eventually(GREEN, "users are ordering", async || Ok(load.answered() >= 2 * USERS)).await?;
        Ok(Self {
            bench,
            platform,
            title,
            seed: bench.seed,
            watched: link.users(),
            parts: link.parts(),
            users,
            load,
            letters,
            started: Instant::now(),
            timeline: Vec::new(),
            http: reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?,
        })
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.bench.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.timeline.push((self.started.elapsed(), what.into()));
    }

    /// Waits until the fault has been felt, and seen if it must be; `hits` tells how often it has acted.
    pub(crate) async fn suffer(
        &mut self,
        health: Health,
        hits: impl AsyncFn() -> anyhow::Result<u64>,
    ) -> anyhow::Result<()> {
        match health {
            Health::TurnsRed => {
                let (mut red, broken) = (Vec::new(), Instant::now());
                let all_red = eventually(RED, "all that the fault concerns say so", async || {
                    red = self.not_ready().await;
                    let names_a_part =
                        |why: &String| self.parts.iter().any(|part| why.contains(&format!("\"{part}\"")));
                    Ok(hits().await? > 0 && red.len() == self.watched.len() && red.iter().all(names_a_part))
                });
                let all_red = all_red.await;
                self.note(format!("red: {}", red.join("; ")));
                all_red?;
                self.times().red.push(broken.elapsed());
            }
            Health::IsItsOwnAffair(time) => {
                tokio::time::sleep(time).await;
                eventually(RED, "the fault meets somebody", async || Ok(hits().await? > 0)).await?;
                let red = self.not_ready().await.join("; ");
                self.note(format!("not ready meanwhile: {red:?}"));
            }
        }
        let hits = hits().await?;
        self.note(format!("it acted {hits} times"));
        ensure!(hits > 0, "the fault met nobody, so nothing was tested");
        Ok(())
    }

    /// Everything is well again, by itself: green, every answered order paid once, nobody blamed, the books right.
    pub(crate) async fn end(mut self, suffered: anyhow::Result<()>) -> anyhow::Result<()> {
        let recovered = self.recovered().await;
        let tally = std::mem::replace(&mut self.load, Load::start(&self.platform.client, &[]))
            .stop()
            .await;
        let ended = async {
            suffered?;
            recovered?;
            let tally = tally?;
            self.note(format!(
                "{} orders, the slowest answer took {} ms, meanwhile {:?}",
                tally.placed.len(),
                tally.slowest.as_millis(),
                tally.failures
            ));
            self.check(&tally).await
        };
        let ended = ended.await;
        let lines = self
            .timeline
            .iter()
            .map(|(time, what)| format!("    {:>6} ms  {what}", time.as_millis()));
        let timeline = lines.collect::<Vec<_>>().join("\n");
        println!("  {}\n{timeline}", self.title);
        // In one piece: of an error's causes only the last is printed.
        ended.map_err(|error| anyhow!("{}, KASSA_SEED={}: {error:#}\n{timeline}", self.title, self.seed))
    }

    async fn recovered(&mut self) -> anyhow::Result<()> {
        let healed = Instant::now();
        let mut red = Vec::new();
        let green = eventually(GREEN, "everything is ready again", async || {
            red = self.not_ready().await;
            Ok(red.is_empty())
        });
        let green = green.await.with_context(|| red.join("; "));
        green?;
        self.note(format!("green after {} ms", healed.elapsed().as_millis()));
        self.times().green.push(healed.elapsed());
        Ok(())
    }

    async fn check(&mut self, tally: &Tally) -> anyhow::Result<()> {
        let (platform, orders) = (self.platform, tally.placed.len());
        ensure!(
            tally.hung.is_empty(),
            "requests were left without an answer: {:?}",
            tally.hung
        );
        let paid = platform.all_terminal(&tally.placed).await?;
        self.note("every answered order is terminal");
        ensure!(
            paid == orders,
            "{paid} of {orders} answered orders are paid, and all could be"
        );
        let stored: i64 = sqlx::query_scalar("select count(*) from orders where user_id = any($1)")
            .bind(&self.users)
            .fetch_one(&platform.tables.orders)
            .await?;
        ensure!(
            usize::try_from(stored)? == orders,
            "{stored} orders are stored, {orders} were asked for"
        );
        let letters = platform.tables.open_letters().await?;
        ensure!(
            letters == self.letters,
            "records were blamed: {} before, {letters} now",
            self.letters
        );
        platform.tables.check().await?;
        self.note("the audit finds nothing");
        Ok(())
    }

    /// Of the watched programs those that are not ready, and why.
    async fn not_ready(&self) -> Vec<String> {
        let mut red = Vec::new();
        for name in self.watched {
            let url = format!("http://127.0.0.1:{}/health/ready", self.platform.stack.port(*name, 0));
            let why = match self.http.get(&url).send().await {
                Ok(answer) if answer.status() == 200 => continue,
                Ok(answer) => answer.json::<serde_json::Value>().await.map_or_else(
                    |error| error.to_string(),
                    |ready| {
                        let parts = ready["parts"].as_array().cloned().unwrap_or_default();
                        let down = parts.iter().filter(|part| part["status"] == "down");
                        let down = down.map(|part| format!("{}: {}", part["name"], part["reason"]));
                        down.collect::<Vec<_>>().join(", ")
                    },
                ),
                Err(error) => error.to_string(),
            };
            red.push(format!("{name}: {why}"));
        }
        red
    }
}
