//! `Dockerfile` as these tests see it: stages with their instructions.

use std::collections::BTreeMap;
use std::fs;

use kassa::stack::root;

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) name: String,
    /// An image, or an earlier stage.
    pub(crate) base: String,
    pub(crate) copies: Vec<Copy>,
    pub(crate) entrypoint: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Copy {
    /// The stage that it copies from; none: the build's context.
    pub(crate) from: Option<String>,
    pub(crate) sources: Vec<String>,
}

/// All stages, in the file's order.
pub(crate) fn stages() -> Vec<Stage> {
    let text = fs::read_to_string(root().join("Dockerfile")).expect("Dockerfile can be read");
    let mut stages: Vec<Stage> = Vec::new();
    for (instruction, rest) in instructions(&text) {
        if instruction == "FROM" {
            stages.push(stage(&rest));
            continue;
        }
        let stage = stages.last_mut().expect("a Dockerfile begins with FROM");
        match instruction.as_str() {
            "COPY" => stage.copies.push(copy(&rest)),
            "ENTRYPOINT" => stage.entrypoint = Some(rest),
            _ => {}
        }
    }
    stages
}

/// The stages by name.
pub(crate) fn stages_by_name() -> BTreeMap<String, Stage> {
    stages().into_iter().map(|stage| (stage.name.clone(), stage)).collect()
}

/// Each instruction with its arguments, without comments and with its lines joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = joined.lines().filter_map(|line| line.trim().split_once(' '));
    split
        .map(|(instruction, rest)| (instruction.to_owned(), rest.trim().to_owned()))
        .collect()
}

fn stage(from: &str) -> Stage {
    let words: Vec<&str> = from.split_whitespace().collect();
    let [base, "AS", name] = words[..] else {
        panic!("write `FROM image AS name`, not `FROM {from}`");
    };
    Stage {
        name: name.to_owned(),
        base: base.to_owned(),
        copies: Vec::new(),
        entrypoint: None,
    }
}

fn copy(arguments: &str) -> Copy {
    let mut words: Vec<&str> = arguments.split_whitespace().collect();
    let from = words
        .iter()
        .find_map(|word| word.strip_prefix("--from="))
        .map(ToOwned::to_owned);
    words.retain(|word| !word.starts_with("--"));
    words.pop().expect("COPY has a destination");
    Copy {
        from,
        sources: words.into_iter().map(ToOwned::to_owned).collect(),
    }
}
