//! Pages of a list: `limit`, `cursor`, and the `Link` to the next one (RFC 8288).

use crate::problem::{Code, Problem};

/// Rows if the caller does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// Rows at most.
pub const MAX_LIMIT: u32 = 100;

/// Checks the number of rows that is asked for.
///
/// # Errors
/// `invalid_request`: not 1 to 100.
pub fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(wrong_limit()),
    }
}

/// The number of rows is none that can be asked for.
#[must_use]
pub fn wrong_limit() -> Problem {
    Problem::new(Code::InvalidRequest, format!("limit must be 1 to {MAX_LIMIT}"))
}

/// The cursor is none of ours.
#[must_use]
pub fn wrong_cursor() -> Problem {
    Problem::new(Code::InvalidRequest, "the cursor is none that an earlier page gave")
}

/// Cuts a list of `limit + 1` rows to the page; the last row's cursor if there is more.
pub fn cut<T, C>(rows: &mut Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Option<C> {
    let limit = limit as usize;
    if rows.len() <= limit {
        return None;
    }
    rows.truncate(limit);
    rows.last().map(cursor)
}

/// The value of `Link`; `query` is what else the next page must be asked with.
#[must_use]
pub fn link_next(path: &str, limit: u32, cursor: &str, query: &str) -> String {
    format!("<{path}?limit={limit}&cursor={cursor}{query}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_there_is_more() {
        let mut rows = vec![9, 8, 7];
        assert_eq!(cut(&mut rows, 2, |row| *row), Some(8));
        assert_eq!(rows, [9, 8]);
        assert_eq!(cut(&mut rows, 2, |row| *row), None);
        assert!(limit(Some(0)).is_err() && limit(Some(101)).is_err() && limit(None) == Ok(50));
    }
}
