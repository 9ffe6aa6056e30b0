//! The schema registry (Confluent's API), reduced to what is needed of it.
//!
//! Services look up and fetch; only the `schemas` command registers. The converter crate's plain calls are
//! used, not its encoders: those cache errors for ever, and some register on first use.

use std::time::Duration;

use event::LearnError;
use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_id, perform_sr_call};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::SrCall;
use serde_json::json;

/// One registry.
#[derive(Clone, Debug)]
pub struct Registry {
    url: String,
    settings: SrSettings,
    client: reqwest::Client,
}

impl Registry {
    /// A registry at `url`, up to and with the path of Confluent's API.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let settings = SrSettings::new_builder(url.clone())
            .set_timeout(Duration::from_secs(2))
            .build()?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { url, settings, client })
    }

    /// The id of a registered schema, by its exact text.
    pub(crate) async fn look_up(&self, subject: &str, schema: &str) -> Result<u32, LearnError> {
        let body = json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        let answer = perform_sr_call(&self.settings, SrCall::PostForVersion(subject, &body)).await;
        let answer = answer.map_err(|error| sort(&error, &format!("{subject} has no such schema")))?;
        answer
            .id
            .ok_or_else(|| LearnError::NotFound(format!("{subject}: the registry gave no id")))
    }

    /// The text of a schema.
    pub(crate) async fn fetch(&self, id: u32) -> Result<String, LearnError> {
        let answer = get_schema_by_id(id, &self.settings).await;
        answer
            .map(|schema| schema.schema)
            .map_err(|error| sort(&error, &format!("there is no schema id {id}")))
    }

    /// Sets the rule that later versions of a subject are held to.
    pub(crate) async fn require_full_transitive(&self, subject: &str) -> anyhow::Result<()> {
        let url = format!("{}/config/{subject}", self.url);
        let body = json!({ "compatibility": "FULL_TRANSITIVE" });
        self.client.put(url).json(&body).send().await?.error_for_status()?;
        Ok(())
    }

    /// Registers a schema, or finds it registered; its id.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> anyhow::Result<u64> {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let response = self
            .client
            .post(url)
            .json(&json!({ "schema": schema, "schemaType": "AVRO" }))
            .send()
            .await?;
        let status = response.status();
        let text = response.text().await?;
        anyhow::ensure!(
            status.is_success(),
            "the registry refuses {subject} with {status}: {text}"
        );
        let answer: serde_json::Value = serde_json::from_str(&text)?;
        answer["id"]
            .as_u64()
            .ok_or_else(|| anyhow::anyhow!("{subject}: the registry gave no id: {text}"))
    }

    /// Whether it answers.
    pub(crate) async fn answers(&self) -> bool {
        let response = self.client.get(format!("{}/subjects", self.url)).send().await;
        response.is_ok_and(|response| response.status().is_success())
    }
}

/// The converter tells a missing schema from a missing registry only in its text.
fn sort(error: &SRCError, missing: &str) -> LearnError {
    if error.error.contains("failed with status 404") {
        LearnError::NotFound(missing.to_owned())
    } else {
        LearnError::Unavailable(error.to_string())
    }
}
