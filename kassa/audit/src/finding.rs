//! Something that must not be there.

use serde::Serialize;

/// What it means for whoever trusted the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something that was promised is gone.
    Lost,
    /// Something happened more than once, or without a reason.
    Doubled,
    /// Events of one key were applied in another order than they were staged.
    OutOfOrder,
    /// Two rows that must agree do not.
    Wrong,
}

/// The first offender of a check, with the rows that show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it means.
    pub kind: Kind,
    /// The rule that is broken.
    pub rule: &'static str,
    /// Both sides, as they stand in the databases.
    pub rows: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.rule, self.rows)
    }
}
