//! An instant as JSON shows it: RFC 3339 in UTC with a `Z`, to the microsecond that Postgres stores.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

/// poem-openapi's own way ends in `+00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub DateTime<Utc>);

impl Timestamp {
    /// As all examples have it.
    ///
    /// # Panics
    /// Never: it is a date.
    #[must_use]
    pub fn example() -> Self {
        let parsed = EXAMPLE.parse::<DateTime<Utc>>();
        Self(parsed.expect("a date"))
    }
}

const EXAMPLE: &str = "2026-07-01T09:30:00.123456Z";

impl Type for Timestamp {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            example: Some(Value::from(EXAMPLE)),
            ..MetaSchema::new_with_format("string", "date-time")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Timestamp {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        DateTime::parse_from_json(value)
            .map(Self)
            .map_err(ParseError::propagate)
    }
}

impl ToJSON for Timestamp {
    fn to_json(&self) -> Option<Value> {
        Some(Value::from(self.0.to_rfc3339_opts(SecondsFormat::Micros, true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_ends_in_z_and_has_microseconds_always() {
        assert_eq!(Timestamp::example().to_json(), Some(Value::from(EXAMPLE)));
        let whole = Timestamp(DateTime::UNIX_EPOCH);
        assert_eq!(whole.to_json(), Some(Value::from("1970-01-01T00:00:00.000000Z")));
    }
}
