//! P13: what the services take when nobody asks for anything.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;

use super::{Bar, Bench, Row};
use crate::cpu::Process;

const NAME: &str = "footprint";
const PARTS: [&str; 3] = ["postgres", "kafka", "registry"];
/// Long enough for whatever happens once a second.
const IDLE: Duration = Duration::from_secs(10);

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let before = bench.system.cpu_us()?;
    sleep(IDLE).await;
    let used = bench.system.cpu_us()?.since(&before);
    let processes = bench.system.processes().to_vec();
    let percent = |us: u64| us as f64 / IDLE.as_micros() as f64 * 100.0;
    let services: Vec<(&Process, u64)> = processes
        .iter()
        .zip(used.0.iter().copied())
        .filter(|(process, _)| is_service(process))
        .collect();
    let idle = services.iter().map(|(_, us)| percent(*us)).sum::<f64>();
    let mut rows = vec![
        Row::new(NAME, "idle CPU of the services together", "% of a core", vec![idle]).with_bar(Bar::AtMost(2.0, 2.0)),
    ];
    for (process, us) in processes.iter().zip(used.0) {
        rows.push(Row::new(
            NAME,
            format!("idle CPU: {}", process.name),
            "% of a core",
            vec![percent(us)],
        ));
    }
    for (process, _) in &services {
        let memory = Row::new(
            NAME,
            format!("memory: {}", process.name),
            "MB",
            vec![resident_mb(process)?],
        );
        rows.push(memory.with_bar(Bar::AtMost(64.0, 64.0)));
        if let Some(size) = stripped_mb(process)? {
            let size = Row::new(NAME, format!("program, stripped: {}", process.name), "MB", vec![size]);
            rows.push(size.with_bar(Bar::AtMost(15.0, 15.0)));
        }
    }
    for (name, ms) in &bench.args.ready {
        let ready = Row::new(NAME, format!("ready after: {name}"), "ms", vec![*ms]);
        rows.push(ready.with_bar(Bar::AtMost(300.0, 300.0)));
    }
    Ok(rows)
}

fn is_service(process: &Process) -> bool {
    !PARTS.contains(&process.name.as_str())
}

/// The processes that are ours.
pub(super) fn services(processes: &[Process]) -> impl Iterator<Item = &Process> {
    processes.iter().filter(|process| is_service(process))
}

/// `VmRSS` of proc(5).
pub(super) fn resident_mb(process: &Process) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .context("a process has memory")?;
    Ok(kb.parse::<f64>()? / 1_024.0)
}

/// The size of the program without its symbols; `None` where there is no strip.
fn stripped_mb(process: &Process) -> anyhow::Result<Option<f64>> {
    let program = fs::read_link(format!("/proc/{}/exe", process.pid))?;
    let copy = std::env::temp_dir().join(format!("kassa-stripped-{}", process.pid));
    let stripped = strip(&program, &copy);
    let size = fs::metadata(&copy).map(|file| file.len() as f64 / (1_024.0 * 1_024.0));
    let _ = fs::remove_file(&copy);
    if stripped { Ok(Some(size?)) } else { Ok(None) }
}

fn strip(program: &Path, copy: &Path) -> bool {
    let status = Command::new("strip").arg("-o").arg(copy).arg(program).status();
    status.is_ok_and(|status| status.success())
}
