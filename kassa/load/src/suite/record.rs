//! What a bench leaves in `docs/benchmarks`: for each program its table, the same as JSON and its plot, with the machine
//! and the commit. A program replaces what it left there before; the others stay.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

use super::Program;
use super::plot::{Plot, Point};
use super::row::Row;
use crate::args::Args;

pub(super) const HEADER: [&str; 6] = ["program", "what", "figure", "from–to", "bar (stretch)", ""];
const FIGURES: &str = "latest.json";

/// What one program measured, when, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recorded {
    conditions: Vec<(String, String)>,
    settings: Vec<String>,
    rows: Vec<Row>,
    points: Vec<Point>,
}

/// By program.
type Figures = BTreeMap<String, Recorded>;

/// Puts a program's figures in the place of its last ones.
///
/// # Errors
/// The folder cannot be written, or what is in it was not written by this.
pub(super) fn add(
    folder: &Path,
    program: Program,
    args: &Args,
    settings: &[String],
    rows: &[Row],
    points: &[Point],
) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let mut figures: Figures = match fs::read(folder.join(FIGURES)) {
        Ok(json) => serde_json::from_slice(&json)
            .with_context(|| format!("{FIGURES} is of another kind; remove it and record all again"))?,
        Err(_) => Figures::new(),
    };
    let recorded = Recorded {
        conditions: conditions(args),
        settings: settings.to_vec(),
        rows: rows.to_vec(),
        points: points.to_vec(),
    };
    if let Some((file, plot)) = plot(program, points) {
        fs::write(folder.join(file), plot.svg())?;
    }
    figures.insert(program.name(), recorded);
    fs::write(folder.join("latest.md"), page(&figures))?;
    fs::write(
        folder.join(FIGURES),
        format!("{}\n", serde_json::to_string_pretty(&figures)?),
    )
    .context("could not write the figures")
}

/// All programs, in the order in which a bench runs them.
fn page(figures: &Figures) -> String {
    let mut text =
        "# Figures\n\nWritten by `cargo kassa bench --record`, program by program: each says of which commit \
                    it is, and how it was measured.\n"
            .to_owned();
    for program in Program::value_variants() {
        let Some(recorded) = figures.get(&program.name()) else {
            continue;
        };
        let help = program
            .to_possible_value()
            .and_then(|value| value.get_help().map(ToString::to_string));
        let _ = writeln!(text, "\n## {}\n\n{}.\n", program.name(), help.unwrap_or_default());
        let _ = writeln!(text, "{}", markdown(&recorded.rows));
        if let Some((file, plot)) = plot(*program, &recorded.points) {
            let _ = writeln!(text, "![{}]({file})\n", plot.title);
        }
        let conditions = recorded
            .conditions
            .iter()
            .map(|(what, value)| format!("{what} {value}"));
        let conditions: Vec<String> = conditions.collect();
        let _ = writeln!(text, "{}; {}", conditions.join(", "), recorded.settings.join(", "));
    }
    text
}

fn plot(program: Program, points: &[Point]) -> Option<(&'static str, Plot<'_>)> {
    match program {
        Program::Latency => Some((
            "latency.svg",
            Plot {
                title: "POST to an order's end against the rate of arrivals",
                x: "orders per second, open loop",
                y: "ms",
                curves: ["p99", "p50"],
                is_log: false,
                points,
            },
        )),
        Program::Throughput => Some((
            "throughput.svg",
            Plot {
                title: "Orders to their end against connections",
                x: "connections, closed loop",
                y: "orders/s",
                curves: ["orders/s", ""],
                is_log: true,
                points,
            },
        )),
        _ => None,
    }
}

fn markdown(rows: &[Row]) -> String {
    let mut text = format!(
        "| {} |\n|{}\n",
        HEADER[1..].join(" | "),
        " --- |".repeat(HEADER.len() - 1)
    );
    for row in rows {
        let _ = writeln!(text, "| {} |", row.cells()[1..].join(" | "));
    }
    text
}

/// The commit, the machine and the lengths of runs; what cannot be found out is left out.
fn conditions(args: &Args) -> Vec<(String, String)> {
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
    // What is recorded lies in docs, and is no change of what was measured.
    let changed = output("git", &["status", "--porcelain", "--", ".", ":!docs"]).map_or("", |_| "+");
    let commit = output("git", &["rev-parse", "--short=8", "HEAD"]).map(|commit| commit + changed);
    let kernel = output("uname", &["-r"]).map(|release| release.split('-').next().unwrap_or_default().to_owned());
    let known = [
        ("commit", commit),
        ("date", output("date", &["-u", "+%Y-%m-%d"])),
        ("processor", cpu),
        ("cores", cores),
        ("memory", memory),
        ("kernel", kernel),
        ("seconds per run", Some(args.seconds.to_string())),
        ("pairs of runs", Some(args.pairs.to_string())),
        ("connections", Some(args.connections.to_string())),
    ];
    let found = known
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(figure: f64) -> Recorded {
        Recorded {
            conditions: vec![("cores".to_owned(), "2".to_owned())],
            settings: vec!["fsync = on".to_owned()],
            rows: vec![Row::new("reads", "GET", "×", vec![figure])],
            points: Vec::new(),
        }
    }

    #[test]
    fn a_page_has_a_table_for_each_program_in_the_order_of_a_bench() {
        let figures = Figures::from([("reads".to_owned(), recorded(0.5)), ("post".to_owned(), recorded(6.0))]);
        let page = page(&figures);
        let (post, reads) = (page.find("## post"), page.find("## reads"));
        assert!(post < reads && post.is_some(), "{page}");
        assert!(page.contains("| GET | 0.500 × |"), "{page}");
        assert!(page.contains("cores 2; fsync = on"), "{page}");
    }

    #[test]
    fn figures_that_were_written_can_be_read_and_replaced_one_by_one() {
        let figures = Figures::from([("reads".to_owned(), recorded(0.5))]);
        let json = serde_json::to_string(&figures).expect("JSON");
        let again: Figures = serde_json::from_str(&json).expect("the same");
        assert_eq!(page(&again), page(&figures));
    }
}
