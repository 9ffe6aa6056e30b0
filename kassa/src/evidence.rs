//! What the last run of the tests has counted, for `docs/guarantees.md`: a test that asserts also records how much it
//! looked at, and `cargo kassa guarantees --write` puts that into the page.
//!
//! A figure here is never an assertion. It is written only after the assertions beside it have held.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::stack::root;

/// What one test has counted in its last run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What was looked at, in a few words: `simulation`, `kills by crash points`.
    pub name: String,
    /// What was counted, and how much: `("seeds", "10000")`.
    pub figures: Vec<(String, String)>,
    /// The commit that was tested, with a `+` if the tree had changes.
    pub commit: String,
}

/// Keeps figures of a test that has passed, in place of those of its last run.
///
/// # Panics
/// The target folder cannot be written to: the run would be taken for the one before.
pub fn record(name: &str, figures: &[(&str, String)]) {
    let figures: Vec<[&str; 2]> = figures.iter().map(|(what, value)| [*what, value]).collect();
    let text = json!({"name": name, "figures": figures, "commit": commit()}).to_string();
    let file = folder().join(format!(
        "{}.json",
        name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    ));
    let written = fs::create_dir_all(folder()).and_then(|()| fs::write(&file, text));
    written.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// The shortest, the median and the longest, in seconds.
pub fn range(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    match times.as_slice() {
        [] => String::new(),
        [only] => format!("{only:.1} s"),
        [first, .., last] => format!("{first:.1} / {:.1} / {last:.1} s", times[times.len() / 2]),
    }
}

/// Everything that is kept, by name.
///
/// # Errors
/// A file is not what [`record`] writes.
pub fn read_all() -> anyhow::Result<Vec<Evidence>> {
    let Ok(files) = fs::read_dir(folder()) else {
        return Ok(Vec::new());
    };
    let mut all = files
        .flatten()
        .map(|file| read(&file.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// A table for a page: what was looked at, what was counted.
#[must_use]
pub fn table(all: &[Evidence]) -> String {
    let mut table = "| what ran | counted | commit |\n| --- | --- | --- |\n".to_owned();
    for evidence in all {
        let figures: Vec<String> = evidence
            .figures
            .iter()
            .map(|(what, value)| format!("{value} {what}"))
            .collect();
        table += &format!("| {} | {} | {} |\n", evidence.name, figures.join(", "), evidence.commit);
    }
    table
}

fn read(path: &Path) -> anyhow::Result<Evidence> {
    let context = || format!("{} is not what a test has written: delete it", path.display());
    let value: Value = serde_json::from_str(&fs::read_to_string(path)?).with_context(context)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).with_context(context);
    let figures = value["figures"].as_array().with_context(context)?;
    Ok(Evidence {
        name: text(&value["name"])?,
        figures: figures
            .iter()
            .map(|figure| Ok((text(&figure[0])?, text(&figure[1])?)))
            .collect::<anyhow::Result<_>>()?,
        commit: text(&value["commit"])?,
    })
}

fn folder() -> PathBuf {
    root().join("target/evidence")
}

/// A tree without git, an unpacked archive for example, has none.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(root()).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let Some(id) = git(&["rev-parse", "--short=8", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let is_changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|lines| !lines.is_empty());
    let id = String::from_utf8_lossy(&id);
    format!("{}{}", id.trim(), if is_changed { "+" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_back_as_they_were_recorded() {
        record(
            "a test of its own",
            &[("seeds", "7".to_owned()), ("steps", "9,000".to_owned())],
        );
        let all = read_all().expect("readable");
        let mine: Vec<Evidence> = all.into_iter().filter(|one| one.name == "a test of its own").collect();
        fs::remove_file(folder().join("a-test-of-its-own.json")).expect("it was there");
        let row = format!("| a test of its own | 7 seeds, 9,000 steps | {} |\n", commit());
        assert!(table(&mine).ends_with(&row), "{}", table(&mine));
    }
}
