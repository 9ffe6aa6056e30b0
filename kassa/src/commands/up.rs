//! `cargo kassa up`: the whole platform in the foreground.

use std::io::IsTerminal as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::build::build;
use crate::machine::leftovers::{self, Identity};
use crate::machine::{fetch, packages};
use crate::stack::{Profile, Say, Settings, Stack, root};

/// What `up` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct UpArgs {
    /// Build and run optimised programs.
    #[arg(long)]
    release: bool,
    /// Moves a port, such as `--port gateway=9080`; as often as needed.
    #[arg(long = "port", value_name = "NAME=PORT")]
    ports: Vec<String>,
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
    let mut settings = Settings::local();
    for port in &args.ports {
        settings.ports.move_one(port)?;
    }
    if args.release {
        settings.profile = Profile::Release;
    }
    say("building");
    build(settings.profile)?;
    if has_docker() {
        say("Docker answers: Kafka, the registry and Postgres run in containers");
        return up_with_docker();
    }
    let mut stack = Stack::new(settings, say.clone())?;
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
    while !is_stopping.load(Ordering::Acquire) {
        sleep(Duration::from_millis(50));
    }
    say("stopping");
    stack.stop();
    leftovers::forget(&stack.settings().folder.join("tool"), "up");
    say("stopped");
    Ok(())
}

/// With an engine, compose runs everything, in the order of its health checks; Ctrl-C ends it.
fn up_with_docker() -> anyhow::Result<()> {
    let [program, args @ ..] = DOCKER_UP;
    fetch::run(Command::new(program).args(args).current_dir(root()))
}

const DOCKER_UP: [&str; 4] = ["docker", "compose", "up", "--build"];

fn has_docker() -> bool {
    Command::new("docker")
        .arg("info")
        .output()
        .is_ok_and(|output| output.status.success())
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
  gateway      {url}         (docs: {url}/docs)
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
