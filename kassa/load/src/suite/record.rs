//! What a bench leaves in `docs/benchmarks`: a table, the same as JSON, and two plots, with the machine and the commit.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::json;

use super::plot::{Plot, Point};
use super::row::Row;
use crate::args::Args;

pub(super) const HEADER: [&str; 6] = ["program", "what", "figure", "from–to", "bar (stretch)", ""];

pub(super) fn write(
    folder: &Path,
    args: &Args,
    settings: &[String],
    rows: &[Row],
    latency: &[Point],
    throughput: &[Point],
) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let conditions = conditions(args);
    let mut text = "# Figures of the last bench\n\nWritten by `cargo kassa bench --record`.\n\n".to_owned();
    for (what, value) in &conditions {
        writeln!(text, "- {what}: {value}")?;
    }
    writeln!(text, "- Postgres: {}\n\n{}", settings.join(", "), markdown(rows))?;
    for plot in plots(latency, throughput) {
        let (name, plot) = plot;
        fs::write(folder.join(name), plot.svg())?;
        writeln!(text, "![{}]({name})\n", plot.title)?;
    }
    fs::write(folder.join("latest.md"), text)?;
    let line = json!({
        "conditions": conditions.into_iter().collect::<serde_json::Map<_, _>>(),
        "settings": settings, "rows": rows, "latency": latency, "throughput": throughput,
    });
    fs::write(folder.join("latest.json"), format!("{line:#}\n")).context("could not write the figures")
}

fn plots<'a>(latency: &'a [Point], throughput: &'a [Point]) -> Vec<(&'static str, Plot<'a>)> {
    let latency = Plot {
        title: "POST to an order's end against the rate of arrivals",
        x: "orders per second, open loop",
        y: "ms",
        curves: ["p99", "p50"],
        is_log: false,
        points: latency,
    };
    let throughput = Plot {
        title: "Orders to their end against connections",
        x: "connections, closed loop",
        y: "orders/s",
        curves: ["orders/s", ""],
        is_log: true,
        points: throughput,
    };
    let all = [("latency.svg", latency), ("throughput.svg", throughput)];
    all.into_iter().filter(|(_, plot)| !plot.points.is_empty()).collect()
}

fn markdown(rows: &[Row]) -> String {
    let mut text = format!("| {} |\n|{}\n", HEADER.join(" | "), " --- |".repeat(HEADER.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text
}

/// The machine and the commit; what cannot be found out is left out.
fn conditions(args: &Args) -> Vec<(String, serde_json::Value)> {
    let output = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kb: u64 = text.lines().next()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(format!("{} GiB", kb / (1_024 * 1_024)))
    });
    let cores = std::thread::available_parallelism().ok().map(|cores| cores.to_string());
    let known = [
        ("commit", output("git", &["describe", "--always", "--dirty=+"])),
        ("date", output("date", &["-u", "+%Y-%m-%d"])),
        ("processor", cpu),
        ("cores", cores),
        ("memory", memory),
        ("kernel", output("uname", &["-r"])),
        ("seconds per run", Some(args.seconds.to_string())),
        ("pairs of runs", Some(args.pairs.to_string())),
        ("connections", Some(args.connections.to_string())),
    ];
    let found = known
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_markdown_with_a_line_per_row() {
        let text = markdown(&[Row::new("reads", "GET", "×", vec![0.5])]);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("| reads | GET | 0.500 × |"), "{text}");
    }
}
