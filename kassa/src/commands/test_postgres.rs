//! A Postgres of its own for commands that run tests, for as long as they run.

use std::sync::Arc;

use crate::machine::packages;
use crate::stack::{Say, Settings, Stack};

/// A server that stops when this is dropped; or the one that `DATABASE_URL` names, which stays.
pub(super) struct TestPostgres {
    url: String,
    _stack: Option<Stack>,
}

impl TestPostgres {
    pub(super) fn start(name: &str) -> anyhow::Result<Self> {
        if let Ok(url) = std::env::var("DATABASE_URL") {
            return Ok(Self { url, _stack: None });
        }
        let say: Say = Arc::new(|text: &str| println!("  {text}"));
        packages::install_missing(&|text| say(text))?;
        let mut stack = Stack::new(Settings::temporary(name)?, say)?;
        stack.start_postgres()?;
        Ok(Self {
            url: stack.settings().server_url(),
            _stack: Some(stack),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}
