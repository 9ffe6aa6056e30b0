//! What the documents promise, held against what the platform does: by a validator, by schemathesis, and by the two
//! collections that people start from.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use kassa::machine::fetch::run;
use kassa::machine::packages::{newman, python};
use kassa::page_script;
use kassa::postman;
use kassa::stack::{Name, cache, root};
use platform_tests::{Client, Platform, send};
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use crate::http_file;

/// What the checks are made with, from PyPI: another version finds other things.
const MODULES: [&str; 2] = ["schemathesis==4.32.5", "openapi_spec_validator==0.9.0"];

pub(crate) async fn the_committed_document_is_the_one_that_is_served(platform: &Platform) -> anyhow::Result<()> {
    let served = document(&platform.client).await?;
    ensure!(
        served == postman::document()?,
        "{} is not what the gateway serves",
        postman::DOCUMENT
    );
    Ok(())
}

pub(crate) async fn every_document_is_valid(platform: &Platform) -> anyhow::Result<()> {
    let python = tools()?;
    for (name, url) in places(platform) {
        let document = document(&Client::new(url)?).await?;
        let file = platform.stack.settings().folder.join(format!("{name}.json"));
        fs::write(&file, document.to_string())?;
        let mut validator = Command::new(&python);
        run(validator.args(["-m", "openapi_spec_validator"]).arg(&file)).with_context(|| format!("of {name}"))?;
    }
    Ok(())
}

pub(crate) async fn the_gateway_keeps_its_document(platform: &Platform) -> anyhow::Result<()> {
    keeps_its_document(platform, Name::Gateway).await
}

pub(crate) async fn the_orders_api_keeps_its_document(platform: &Platform) -> anyhow::Result<()> {
    keeps_its_document(platform, Name::OrdersApi).await
}

pub(crate) async fn the_payments_api_keeps_its_document(platform: &Platform) -> anyhow::Result<()> {
    keeps_its_document(platform, Name::PaymentsApi).await
}

/// Requests that the document allows, and requests that it forbids: schemathesis makes them up, always the same ones.
async fn keeps_its_document(platform: &Platform, name: Name) -> anyhow::Result<()> {
    let python = tools()?;
    let user = &platform.users("contract", 1, "1000.00").await?[0];
    let config = root().join("kassa/platform-tests/schemathesis.toml");
    let url = places(platform).into_iter().find(|(known, _)| *known == name);
    let (_, url) = url.context("it has a document")?;
    let mut tests = Command::new(python.with_file_name("schemathesis"));
    tests
        .arg("--config-file")
        .arg(config)
        .args([
            "run",
            &format!("{url}/openapi.json"),
            "-H",
            &format!("X-User-Id: {user}"),
        ])
        .current_dir(&platform.stack.settings().folder);
    let told = tokio::task::block_in_place(|| tests.output()).context("schemathesis does not start")?;
    let text = String::from_utf8_lossy(&told.stdout);
    ensure!(
        told.status.success(),
        "schemathesis on {name}:\n{text}\n{}",
        String::from_utf8_lossy(&told.stderr)
    );
    platform.all_ready().await?;
    platform.tables.check().await
}

pub(crate) async fn whoever_says_who_he_is_orders_and_pays_in_swagger_ui(platform: &Platform) -> anyhow::Result<()> {
    let say = |text: &str| println!("  {text}");
    tokio::task::block_in_place(|| page_script::run(&platform.stack, "swagger-ui.mjs", None, &say))
}

pub(crate) async fn the_postman_collection_runs_through(platform: &Platform) -> anyhow::Result<()> {
    let newman = newman(&cache(), &|text| println!("  {text}"))?;
    let user = format!("postman-{}", Uuid::new_v4().simple());
    let mut collection = Command::new("node");
    collection
        .arg(newman)
        .arg("run")
        .arg(root().join(postman::FILE))
        .args(["--env-var", &format!("baseUrl={}", platform.stack.gateway_url())])
        .args(["--env-var", &format!("userId={user}")])
        .args(["--color", "off", "--timeout-request", "40000"]);
    tokio::task::block_in_place(|| run(&mut collection))
}

pub(crate) async fn the_requests_of_the_http_file_do_what_their_titles_say(platform: &Platform) -> anyhow::Result<()> {
    let text = fs::read_to_string(root().join("requests.http"))?;
    let user = format!("http-{}", Uuid::new_v4().simple());
    let told = [("baseUrl", platform.stack.gateway_url()), ("userId", user)];
    http_file::play(&text, &told).await
}

async fn document(client: &Client) -> anyhow::Result<Value> {
    let served = send(client.request(Method::GET, "/openapi.json")).await?;
    ensure!(served.status == 200, "{served:?}");
    Ok(served.body)
}

/// Whoever has a document, and where.
fn places(platform: &Platform) -> [(Name, String); 3] {
    let at = |name| (name, format!("http://127.0.0.1:{}", platform.stack.port(name, 0)));
    [Name::Gateway, Name::OrdersApi, Name::PaymentsApi].map(at)
}

fn tools() -> anyhow::Result<PathBuf> {
    tokio::task::block_in_place(|| python(&cache(), &MODULES, &|text| println!("  {text}")))
}
