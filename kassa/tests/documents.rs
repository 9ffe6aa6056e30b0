//! The documents say what the code does: whatever they name exists, and what has a list has all of it.
//!
//! Conventions of the documents, which these tests read as plain text, fenced blocks aside:
//! - A code span with a slash that ends in a file's ending or a slash is a path from the root of the repository.
//! - A test is named as `` `path/to/file.rs` › `test_name` ``; in a table's column called "… test …" its name alone will do,
//!   with or without its module. `…` in a name stands for anything.
//! - A table whose first column is called `setting`, `metric` or `program` lists all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kassa::stack::root;

const OPERATIONS: &str = "docs/operations.md";

/// A setting's table, by the heading above it, and the struct that it documents.
const SETTINGS: [(&str, &str, &str); 5] = [
    ("Every program", "api/http/src/settings.rs", "CommonSettings"),
    ("gateway", "gateway/src/settings.rs", "GatewaySettings"),
    ("orders-api", "api/orders/src/settings.rs", "ApiSettings"),
    ("payments-api", "api/payments/src/settings.rs", "ApiSettings"),
    (
        "orders-processor and payments-processor",
        "processors/streams/src/service/settings.rs",
        "ProcessorSettings",
    ),
];

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below `folder` with this ending, by their paths from the root.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let is_ours = |name: &str| !name.starts_with('.') && name != "target" && name != "node_modules";
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && is_ours(&entry.file_name().to_string_lossy()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path.strip_prefix(root()).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Each document with its text, without fenced blocks.
fn documents() -> Vec<(PathBuf, String)> {
    let documents: Vec<_> = files("", "md")
        .into_iter()
        .map(|path| (path.clone(), prose(&read(path))))
        .collect();
    assert!(documents.iter().any(|(path, _)| path == Path::new(OPERATIONS)));
    documents
}

fn prose(text: &str) -> String {
    let mut is_fenced = false;
    let outside = text.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    });
    outside.collect::<Vec<_>>().join("\n")
}

fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of a table's row.
fn cells(row: &str) -> Vec<String> {
    let inner = row.trim().trim_matches('|').replace("\\|", "\u{1}");
    inner.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// A table: the heading above it, its header and its rows.
struct Table {
    heading: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn tables(text: &str) -> Vec<Table> {
    let lines: Vec<&str> = text.lines().collect();
    let heading = |before: usize| {
        let above = lines[..before].iter().rev().find(|line| line.starts_with('#'));
        above.map_or("", |line| line.trim_start_matches('#')).trim().to_owned()
    };
    let is_rule = |line: &&str| line.starts_with("| ---") || line.starts_with("|---");
    let rules = lines.iter().enumerate().filter(|(_, line)| is_rule(line));
    rules
        .map(|(at, _)| Table {
            heading: heading(at),
            header: cells(lines[at - 1]),
            rows: lines[at + 1..]
                .iter()
                .take_while(|line| line.starts_with('|'))
                .map(|row| cells(row))
                .collect(),
        })
        .collect()
}

/// The tables of the operations page whose first column is called `column`.
fn lists(column: &str) -> Vec<Table> {
    let all = tables(&prose(&read(OPERATIONS)));
    all.into_iter().filter(|table| table.header[0] == column).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in documents() {
        let folder = path.parent().expect("a file is in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link
                .split_once('#')
                .map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() {
                path.clone()
            } else {
                folder.join(file)
            };
            assert!(
                root().join(&target).exists(),
                "{}: {link} leads nowhere",
                path.display()
            );
            if let Some(anchor) = anchor {
                let is_there = prose(&read(target))
                    .lines()
                    .any(|line| line.starts_with('#') && slug(line) == anchor);
                assert!(is_there, "{}: {link} names no heading", path.display());
            }
        }
    }
}

/// As GitHub makes it.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whether a code span is meant as a path of this repository.
fn is_path(span: &str) -> bool {
    let endings = [
        "rs", "sql", "avsc", "toml", "yml", "md", "hex", "snap", "py", "mjs", "html",
    ];
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let ends_like_one = span.ends_with('/') || span.rsplit_once('.').is_some_and(|(_, end)| endings.contains(&end));
    span.contains('/') && !span.starts_with(['/', '.']) && span.chars().all(is_plain) && ends_like_one
}

#[test]
fn every_path_that_is_named_exists() {
    for (document, text) in documents() {
        for span in code_spans(&text).filter(|span| is_path(span)) {
            assert!(root().join(span).exists(), "{}: there is no {span}", document.display());
        }
    }
}

/// Whether a function of this name is in a source; `…` stands for anything within a line.
fn has_test(source: &str, name: &str) -> bool {
    let pieces: Vec<&str> = name.split('…').collect();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let has_all = |line: &str| {
        let mut pieces = pieces.iter();
        pieces
            .try_fold(line, |rest, piece| Some(rest.split_once(piece)?.1))
            .is_some()
    };
    source.lines().any(|line| match pieces[..] {
        [name] => line
            .split(&format!("fn {name}"))
            .nth(1)
            .is_some_and(|rest| !rest.starts_with(is_name)),
        _ => has_all(line),
    })
}

#[test]
fn every_test_that_is_named_is_in_its_file() {
    for (document, text) in documents() {
        let pairs: Vec<&str> = text.split("` › `").collect();
        for pair in pairs.windows(2) {
            let path = pair[0].rsplit('`').next().expect("a path");
            let name = pair[1].split('`').next().expect("a name");
            assert!(
                has_test(&read(path), name),
                "{}: {path} has no {name}",
                document.display()
            );
        }
    }
}

#[test]
fn every_test_in_a_column_of_tests_exists() {
    let sources: Vec<String> = files("", "rs").into_iter().map(read).collect();
    let is_name = |span: &&str| span.contains('_') && !span.contains([' ', '/', '.']);
    for (document, text) in documents() {
        for table in tables(&text) {
            let Some(column) = table.header.iter().position(|cell| cell.contains("test")) else {
                continue;
            };
            for span in table
                .rows
                .iter()
                .flat_map(|row| code_spans(&row[column]))
                .filter(is_name)
            {
                let name = span.rsplit("::").next().expect("a name");
                let is_there = sources.iter().any(|source| has_test(source, name));
                assert!(is_there, "{}: there is no test {span}", document.display());
            }
        }
    }
}

#[test]
fn every_metric_is_explained_and_no_other() {
    let sources: Vec<String> = files("", "rs").into_iter().map(read).collect();
    let starts = ["counter", "gauge", "histogram"].map(|kind| format!("{kind}!(\""));
    let after = starts
        .iter()
        .flat_map(|start| sources.iter().flat_map(move |source| source.split(start).skip(1)));
    let measured: BTreeSet<&str> = after.filter_map(|rest| rest.split('"').next()).collect();
    let lists = lists("metric");
    let explained: BTreeSet<&str> = lists
        .iter()
        .flat_map(|table| &table.rows)
        .flat_map(|row| code_spans(&row[0]))
        .collect();
    assert_eq!(explained, measured);
}

/// The fields of a settings struct, each with the function that gives its default, if there is one.
fn fields(source: &str, name: &str) -> BTreeMap<String, Option<String>> {
    let body = source
        .split(&format!("pub struct {name} {{\n"))
        .nth(1)
        .and_then(|rest| rest.split("\n}").next());
    let (mut fields, mut default) = (BTreeMap::new(), None);
    for line in body
        .unwrap_or_else(|| panic!("there is no struct {name}"))
        .lines()
        .map(str::trim)
    {
        if let Some((_, rest)) = line.split_once("default = \"") {
            default = rest.split('"').next().map(str::to_owned);
        } else if let (false, Some((field, _))) = (line.starts_with(['/', '#']), line.split_once(": ")) {
            fields.insert(field.trim_start_matches("pub ").to_owned(), default.take());
        }
    }
    fields
}

/// What a function without arguments gives, if that is a text or a product of numbers.
fn value(source: &str, function: &str) -> Option<String> {
    let body = source
        .split(&format!("fn {function}() -> "))
        .nth(1)?
        .split("\n}")
        .next()?;
    let expression = body.split_once("{\n")?.1.trim();
    if let Some(text) = expression
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix("\".to_owned()"))
    {
        return Some(text.to_owned());
    }
    let factors = expression
        .split('*')
        .map(|factor| factor.trim().replace('_', "").parse::<u64>());
    let product = factors
        .collect::<Result<Vec<_>, _>>()
        .ok()?
        .into_iter()
        .product::<u64>();
    Some(product.to_string())
}

#[test]
fn every_setting_is_explained_with_its_default_and_no_other() {
    let lists = lists("setting");
    let headings: Vec<&str> = lists.iter().map(|table| table.heading.as_str()).collect();
    assert_eq!(headings, SETTINGS.map(|(heading, ..)| heading));
    for (table, (heading, path, name)) in lists.iter().zip(SETTINGS) {
        let source = read(path);
        let fields = fields(&source, name);
        let explained: BTreeSet<&str> = table.rows.iter().flat_map(|row| code_spans(&row[0])).collect();
        assert_eq!(explained, fields.keys().map(String::as_str).collect(), "{heading}");
        for row in &table.rows {
            let setting = row[0].trim_matches('`');
            let default = fields[setting].as_deref().and_then(|function| value(&source, function));
            if let Some(default) = default.filter(|default| !default.contains("://")) {
                assert_eq!(row[2].trim_matches('`'), default, "{heading}: {setting}");
            }
        }
    }
}

#[test]
fn every_program_listens_where_it_is_said_to() {
    let sources: Vec<String> = files("", "rs").into_iter().map(read).collect();
    let [table] = &lists("program")[..] else {
        panic!("one table of programs");
    };
    for row in table.rows.iter().filter(|row| !row[1].is_empty()) {
        let (name, address) = (row[0].replace('`', "\""), format!("\"127.0.0.1:{}\"", row[1]));
        let is_main = |source: &&String| source.contains(&name) && source.contains("fn main()");
        let main = sources
            .iter()
            .find(|source| is_main(source) && source.contains(&address));
        assert!(main.is_some(), "no main of {name} names {address}");
    }
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let decisions = files("docs/decisions", "md");
    for (path, number) in decisions.iter().zip(1..) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        assert!(
            name.starts_with(&format!("{number:04}-")),
            "{name} is not number {number}"
        );
        assert!(read(path).starts_with(&format!("# {number:04}: ")), "{name}");
    }
}

/// Absences that the architecture page promises and no other test sees.
fn assert_absent(paths: &[PathBuf], words: &[&str]) {
    assert!(!paths.is_empty(), "there is something to look through");
    for path in paths {
        let text = read(path);
        let found = words.iter().find(|word| text.contains(**word));
        assert_eq!(found, None, "{}", path.display());
    }
}

#[test]
fn kafka_keeps_neither_transactions_nor_positions() {
    let kafka = files("processors/streams/src/kafka", "rs");
    let words = [
        "transactional",
        "init_transactions",
        "store_offset",
        "commit_message",
        "commit_consumer_state",
        "CommitMode",
    ];
    assert_absent(&kafka, &words);
    let consumer = read("processors/streams/src/kafka/consumer.rs");
    for setting in ["enable.auto.commit", "enable.auto.offset.store"] {
        assert!(
            consumer.contains(&format!(".set(\"{setting}\", \"false\")")),
            "{setting}"
        );
    }
}

#[test]
fn no_commit_waits_for_a_notification() {
    let words = ["pg_notify", "PgListener", "\"notify ", "\nnotify "];
    for folder in ["processors", "api"] {
        let mut sources = [files(folder, "rs"), files(folder, "sql")].concat();
        // It sends them after the commit, on a connection of its own, and nothing waits for it.
        sources.retain(|path| {
            let own = [
                "processors/streams/src/relay/wake.rs",
                "processors/streams/src/relay/tests/running.rs",
            ];
            !own.iter().any(|file| path.ends_with(file))
        });
        assert_absent(&sources, &words);
    }
}

#[test]
fn processors_decide_and_do_nothing_else() {
    let services = ["processors/orders/src", "processors/payments/src"];
    let sources = services.iter().flat_map(|folder| files(folder, "rs"));
    let processors: Vec<PathBuf> = sources
        .filter(|path| read(path).contains("impl Processor for"))
        .collect();
    assert!(processors.len() >= services.len());
    let effects = [
        "async ", ".await", "sqlx", "tokio", "std::fs", "std::env", "std::net", "rdkafka", "reqwest",
    ];
    let ambient = ["Utc::now", "SystemTime", "Instant", "now_v7", "new_v4", "rand::"];
    assert_absent(&processors, &[&effects[..], &ambient].concat());
}

#[test]
fn orders_and_payments_do_not_know_each_other() {
    let manifests =
        |service: &str| ["processors", "api"].map(|folder| PathBuf::from(format!("{folder}/{service}/Cargo.toml")));
    assert_absent(&manifests("orders"), &["payments"]);
    assert_absent(&manifests("payments"), &["orders"]);
}

#[test]
fn the_tool_needs_no_library_of_the_machine() {
    let manifest = read("kassa/Cargo.toml");
    let dependencies = manifest
        .split("\n[dependencies]\n")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next());
    let dependencies = dependencies.expect("a section for dependencies");
    for heavy in [
        "rdkafka", "sqlx", "streams", "orders", "payments", "schemas", "http-kit", "poem", "tokio",
    ] {
        assert!(!dependencies.contains(heavy), "{heavy}");
    }
}
