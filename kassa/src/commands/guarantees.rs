//! `cargo kassa guarantees`: what the last run of the tests has counted; `--write` puts it into the page.

use std::fs;

use anyhow::{Context as _, ensure};

use crate::evidence::{read_all, table};
use crate::stack::root;

const PAGE: &str = "docs/guarantees.md";
const BEGIN: &str = "<!-- last run: written by `cargo kassa guarantees --write` -->\n";
const END: &str = "<!-- end of last run -->";

/// What `guarantees` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct GuaranteesArgs {
    /// Put the figures into docs/guarantees.md.
    #[arg(long)]
    write: bool,
}

/// Prints the figures, or writes them into the page.
///
/// # Errors
/// No test has left any, or the page has no place for them.
pub fn guarantees(args: &GuaranteesArgs) -> anyhow::Result<()> {
    let all = read_all()?;
    ensure!(
        !all.is_empty(),
        "no test has counted anything here: run `cargo kassa test` first"
    );
    let table = table(&all);
    print!("{table}");
    if args.write {
        let page = root().join(PAGE);
        let text = fs::read_to_string(&page).with_context(|| format!("there is no {PAGE}"))?;
        let text = between(&text, &table).with_context(|| format!("{PAGE} has lost the marks around its figures"))?;
        fs::write(&page, text)?;
    }
    Ok(())
}

/// The page with `table` between its marks.
fn between(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = format!("above\n{BEGIN}| old |\n{END}\nbelow\n");
        let new = between(&page, "| new |\n").expect("it has marks");
        assert_eq!(new, format!("above\n{BEGIN}| new |\n{END}\nbelow\n"));
        assert_eq!(between(&new, "| new |\n"), Some(new.clone()));
        assert_eq!(between("without", "| new |\n"), None);
    }
}
