//! A buyer's own words, as strict as the contract: a JSON string of at most 500 characters, without NUL.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

/// Unicode scalar values, at most.
pub(crate) const DESCRIPTION_MAX_CHARS: usize = 500;

/// A description that may be stored. poem-openapi's own strings take numbers too.
#[derive(Debug)]
pub(crate) struct Description(pub(crate) String);

impl Type for Description {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Description".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            max_length: Some(DESCRIPTION_MAX_CHARS),
            // Postgres cannot store NUL.
            pattern: Some(r"^[^\u0000]*$".to_owned()),
            nullable: true,
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Description {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(text) if text.chars().count() > DESCRIPTION_MAX_CHARS => Err(ParseError::custom(format!(
                "must have at most {DESCRIPTION_MAX_CHARS} characters"
            ))),
            // Postgres cannot store it.
            Value::String(text) if text.contains('\0') => Err(ParseError::custom("must not contain NUL")),
            Value::String(text) => Ok(Self(text)),
            _ => Err(ParseError::custom("must be a JSON string or null")),
        }
    }
}

// poem-openapi asks it of every field, though a request is never written.
impl ToJSON for Description {
    fn to_json(&self) -> Option<Value> {
        Some(Value::from(self.0.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_strings_that_can_be_stored_are_taken() {
        let parse = |value| Description::parse_from_json(Some(value)).map(|description| description.0);
        for good in [json!(""), json!("ä".repeat(500)), json!("two\nlines")] {
            assert_eq!(parse(good.clone()).ok().as_deref(), good.as_str());
        }
        for bad in [
            json!(1),
            json!(true),
            json!(["a"]),
            json!("ä".repeat(501)),
            json!("a\0"),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
    }
}
