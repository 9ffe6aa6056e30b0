//! Money as poem-openapi types: strings with a pattern and an example.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

use super::{Amount, Balance, SignedAmount};

macro_rules! money_openapi {
    ($money:ident, $pattern:literal, $example:literal) => {
        impl Type for $money {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                stringify!($money).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema {
                    pattern: Some($pattern.to_owned()),
                    example: Some(Value::from($example)),
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

        impl ParseFromJSON for $money {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value.unwrap_or_default() {
                    Value::String(text) => text.parse().map_err(ParseError::custom),
                    Value::Null => Err(ParseError::custom("is missing")),
                    _ => Err(ParseError::custom("must be a JSON string such as \"50.00\"")),
                }
            }
        }

        impl ToJSON for $money {
            fn to_json(&self) -> Option<Value> {
                Some(Value::String(self.to_string()))
            }
        }
    };
}

money_openapi!(Amount, r"^[0-9]{1,13}(\.[0-9]{1,2})?$", "30.00");
money_openapi!(Balance, r"^[0-9]{1,13}\.[0-9]{2}$", "70.00");
money_openapi!(SignedAmount, r"^-?[0-9]{1,13}\.[0-9]{2}$", "-30.00");
