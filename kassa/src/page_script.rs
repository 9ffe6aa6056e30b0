//! A script that drives a real browser over the page, and may hurt the platform under it.
//!
//! The script writes `stop payments-processor`; this side does so and answers `ok`. `start` waits until the process is
//! ready. Any other line is shown. Whatever the script has stopped runs again when it is over.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::machine::packages::{BROWSER_NEEDS, find_on_path, install, node_modules};
use crate::stack::{Name, Stack, cache, root};

/// How long a process that a script starts may take to be ready.
const START: Duration = Duration::from_secs(60);

/// Where the scripts are.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("kassa/platform-tests/tests/page")
}

/// Runs `name`, a file in [`folder`], on a running platform; `output` is where it may write files.
///
/// # Errors
/// The browser or what drives it cannot be had; the script fails.
pub fn run(stack: &Stack, name: &str, output: Option<&Path>, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    install(&BROWSER_NEEDS, say)?;
    let told = json!({
        "gateway": stack.gateway_url(),
        "chromium": find_on_path("chromium"),
        "modules": node_modules(&cache(), say)?,
        "output": output,
    });
    let mut node = Command::new("node");
    node.arg(folder().join(name)).arg(told.to_string());
    let mut stopped = Vec::new();
    let done = converse(&mut node, |line| match command(line) {
        Some(("stop", process)) => {
            stack.stop_one(process, 0);
            stopped.push(process);
            Ok(true)
        }
        Some(("start", process)) => {
            stack.start_one(process, 0)?;
            stack.wait_for(process, START)?;
            stopped.retain(|name| *name != process);
            Ok(true)
        }
        _ => {
            say(line);
            Ok(false)
        }
    });
    for process in stopped {
        stack.start_one(process, 0)?;
        stack.wait_for(process, START)?;
    }
    done.with_context(|| format!("{name} on {}", stack.gateway_url()))
}

/// `stop payments-processor` → what to do, with whom.
fn command(line: &str) -> Option<(&str, Name)> {
    let (verb, name) = line.split_once(' ')?;
    let mut known = Name::SERVICES.into_iter().chain(Name::PARTS);
    Some((verb, known.find(|known| known.as_str() == name)?))
}

/// Runs a program and answers `ok` to each line for which `act` is true.
fn converse(program: &mut Command, mut act: impl FnMut(&str) -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("node does not start")?;
    let input = child.stdin.take().context("the input is piped")?;
    let output = child.stdout.take().context("the output is piped")?;
    let talked = talk(BufReader::new(output), input, &mut act);
    if talked.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    talked?;
    ensure!(status.success(), "the script ended with {status}");
    Ok(())
}

fn talk(
    heard: impl BufRead,
    mut said: impl Write,
    act: &mut impl FnMut(&str) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    for line in heard.lines() {
        if act(&line?)? {
            said.write_all(b"ok\n")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_of_the_platform_are_commanded() {
        assert_eq!(
            command("stop payments-processor"),
            Some(("stop", Name::PaymentsProcessor))
        );
        assert_eq!(command("start kafka"), Some(("start", Name::Kafka)));
        for line in ["stop", "stop everything", "the page waits"] {
            assert_eq!(command(line), None, "{line}");
        }
    }

    #[test]
    fn a_script_is_answered_and_its_failure_is_ours() {
        let mut lines = Vec::new();
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo ask; read answer; echo $answer; exit 3"]);
        let done = converse(&mut shell, |line| {
            lines.push(line.to_owned());
            Ok(line == "ask")
        });
        assert_eq!(lines, ["ask", "ok"]);
        assert!(done.expect_err("it fails").to_string().contains('3'));
    }
}
