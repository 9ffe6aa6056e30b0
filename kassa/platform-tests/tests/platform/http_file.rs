//! A file of requests as editors know it (`requests.http`), read and sent from top to bottom.
//!
//! `### title → status word`: what must come, a status code and a status or code in the body. `@name = value` and
//! `{{name}}` are variables, `# @name order` names the next answer, and `{{order.response.body.$.id}}` is a field of it.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use platform_tests::{Answer, send};
use reqwest::Method;

/// Sends all requests of a file; `told` wins over what the file says of a variable.
pub(crate) async fn play(text: &str, told: &[(&str, String)]) -> anyhow::Result<()> {
    let mut story = Story {
        variables: told
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        answers: HashMap::new(),
    };
    let http = reqwest::Client::new();
    let mut blocks = text.split("\n### ");
    let (head, _) = story.head(blocks.next().unwrap_or_default(), told)?;
    ensure!(
        head.is_empty(),
        "before the first title there are variables only: {head:?}"
    );
    let mut sent = 0;
    for block in blocks {
        let (title, block) = block.split_once('\n').context("a title and a request")?;
        let (request, name) = story.head(block, told)?;
        let answer = send(story.request(&http, &request)?)
            .await
            .with_context(|| title.to_owned())?;
        check(title, &answer)?;
        if let Some(name) = name {
            story.answers.insert(name, answer);
        }
        sent += 1;
    }
    ensure!(sent > 0, "there are no requests");
    Ok(())
}

/// `… → 201, or 200 …`, `… → 400 invalid_amount`.
fn check(title: &str, answer: &Answer) -> anyhow::Result<()> {
    let (_, expected) = title.split_once('→').with_context(|| format!("{title}: what comes?"))?;
    let words: Vec<&str> = expected.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let statuses: Vec<u16> = words.iter().filter_map(|word| word.parse().ok()).collect();
    ensure!(statuses.contains(&answer.status.as_u16()), "{title}: {answer:?}");
    if let [_, word] = words[..] {
        let field = if answer.status.is_success() { "status" } else { "code" };
        ensure!(answer.text(field) == word, "{title}: {answer:?}");
    }
    Ok(())
}

struct Story {
    variables: HashMap<String, String>,
    answers: HashMap<String, Answer>,
}

impl Story {
    /// Takes variables and comments off a block: the request's lines, and the name of its answer.
    fn head(&mut self, block: &str, told: &[(&str, String)]) -> anyhow::Result<(String, Option<String>)> {
        let (mut rest, mut answer) = (Vec::new(), None);
        for line in block.lines() {
            if let Some((name, value)) = line.strip_prefix('@').and_then(|line| line.split_once(" = ")) {
                if !told.iter().any(|(known, _)| *known == name) {
                    let value = self.fill(value)?;
                    self.variables.insert(name.to_owned(), value);
                }
            } else if let Some(name) = line.strip_prefix("# @name ") {
                answer = Some(name.to_owned());
            } else if !line.starts_with('#') {
                rest.push(line);
            }
        }
        Ok((rest.join("\n").trim().to_owned(), answer))
    }

    fn request(&self, http: &reqwest::Client, text: &str) -> anyhow::Result<reqwest::RequestBuilder> {
        let text = self.fill(text)?;
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let line = lines.next().and_then(|line| line.split_once(' '));
        let (method, url) = line.with_context(|| format!("a method and a URL: {text}"))?;
        let mut request = http.request(method.parse::<Method>()?, url);
        for line in lines {
            let (name, value) = line.split_once(": ").with_context(|| format!("a header: {line}"))?;
            request = request.header(name, value);
        }
        Ok(if body.is_empty() {
            request
        } else {
            request.body(body.to_owned())
        })
    }

    fn fill(&self, text: &str) -> anyhow::Result<String> {
        let mut pieces = text.split("{{");
        let mut filled = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once("}}").with_context(|| format!("an end of {piece}"))?;
            filled += &self.value(name).with_context(|| format!("there is no {name}"))?;
            filled += rest;
        }
        Ok(filled)
    }

    fn value(&self, name: &str) -> Option<String> {
        match name.split_once(".response.body.$.") {
            Some((answer, field)) => Some(self.answers.get(answer)?.text(field).to_owned()),
            None => self.variables.get(name).cloned(),
        }
    }
}
