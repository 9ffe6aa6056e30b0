//! `cargo kassa up`: the whole platform in the foreground.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::build::build;
use crate::machine::leftovers::{self, Identity};
use crate::machine::packages;
use crate::stack::{Parts, Profile, Say, Settings, Stack, containers};

/// What `up` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct UpArgs {
    /// Build and run optimised programs.
    #[arg(long)]
    release: bool,
    /// Moves a port, such as `--port gateway=9080`; as often as needed.
    #[arg(long = "port", value_name = "NAME=PORT")]
    ports: Vec<String>,
    /// The platform's name; each has its own data. Two at once need ports of their own.
    #[arg(long, default_value = "local")]
    name: String,
    /// Run Kafka, the registry and Postgres as processes of this machine, even where Docker answers.
    #[arg(long)]
    native: bool,
    /// Run what was built before.
    #[arg(long)]
    no_build: bool,
}

/// Starts everything, says where it is, and stops all of it on Ctrl-C.
///
/// # Errors
/// Something is missing, taken, or does not start; what was started by then is stopped.
pub fn up(args: &UpArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let say = teller();
    let is_stopping = Arc::new(AtomicBool::new(false));
    let stop = is_stopping.clone();
    ctrlc::set_handler(move || stop.store(true, Ordering::Release)).context("could not listen for Ctrl-C")?;
    packages::install_missing(&|text| say(text))?;
    let settings = settings(args)?;
    if !args.no_build {
        say("building");
        build(settings.profile)?;
    }
    let mut stack = Stack::new(settings, say.clone())?;
    stack.settings().save()?;
    if let Some(me) = Identity::of(std::process::id()) {
        leftovers::remember(&stack.settings().folder.join("tool"), "up", me)?;
    }
    stack.cancel_with(is_stopping.clone());
    stack.start_parts()?;
    stack.start_services()?;
    stack.wait_until_ready(Duration::from_secs(60))?;
    stack.supervise();
    say(&format!("all are ready after {:.1} s", started.elapsed().as_secs_f64()));
    print_welcome(&stack);
    watch(&stack, &say, &is_stopping);
    say("stopping");
    stack.stop();
    leftovers::forget(&stack.settings().folder.join("tool"), "up");
    say("stopped");
    Ok(())
}

fn settings(args: &UpArgs) -> anyhow::Result<Settings> {
    let mut settings = Settings::named(&args.name)?;
    for port in &args.ports {
        settings.ports.move_one(port)?;
    }
    if args.release {
        settings.profile = Profile::Release;
    }
    if !args.native && containers::engine_answers() {
        settings.parts = Parts::Containers;
    }
    Ok(settings)
}

/// Says whenever a process turns ready or stops being so, until it is time to stop.
fn watch(stack: &Stack, say: &Say, is_stopping: &AtomicBool) {
    let mut was_ready: HashMap<String, bool> = HashMap::new();
    let mut looked = Instant::now();
    while !is_stopping.load(Ordering::Acquire) {
        sleep(Duration::from_millis(50));
        if looked.elapsed() < Duration::from_secs(1) {
            continue;
        }
        for (title, answer) in stack.readiness() {
            let before = was_ready.insert(title.clone(), answer.is_ok()).unwrap_or(true);
            match answer {
                Ok(()) if !before => say(&format!("{title} is ready again")),
                Err(cause) if before => say(&format!("{title} is not ready: {cause}")),
                _ => {}
            }
        }
        looked = Instant::now();
    }
}

/// One line per change of state, coloured on a terminal: green for good news, red for bad.
fn teller() -> Say {
    let colours = std::io::stdout().is_terminal();
    let started = Instant::now();
    Arc::new(move |text: &str| {
        let is_bad = ["died", "does not", "not ready"].iter().any(|word| text.contains(word));
        let is_good = text.contains("ready") && !is_bad;
        let colour = if is_bad {
            "31"
        } else if is_good {
            "32"
        } else {
            "36"
        };
        let at = started.elapsed().as_secs_f64();
        if colours {
            println!("\x1b[2m{at:7.1} s\x1b[0m \x1b[{colour}m{text}\x1b[0m");
        } else {
            println!("{at:7.1} s {text}");
        }
    })
}

fn print_welcome(stack: &Stack) {
    let url = stack.gateway_url();
    let ports = stack.settings().ports;
    println!(
        "
  the page     {url}
  API docs     {url}/docs
  orders API   http://127.0.0.1:{}         payments API http://127.0.0.1:{}
  demo mode: whoever sends X-User-Id is believed

  curl -s -X POST {url}/accounts -H 'X-User-Id: alice'
  curl -s -X POST {url}/accounts/topup -H 'X-User-Id: alice' -H 'Content-Type: application/json' -d '{{\"amount\":\"100.00\"}}'
  curl -s -X POST {url}/orders -H 'X-User-Id: alice' -H 'Content-Type: application/json' -d '{{\"amount\":\"30.00\"}}'

  Ctrl-C stops everything; the data stay until `cargo kassa down --wipe`.
",
        ports.orders_api, ports.payments_api
    );
}
