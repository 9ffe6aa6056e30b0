//! A schema of whatever origin, taken down to what its records are read by.
//!
//! Avro's library tries the default of each field while it parses a schema, and each level of unions twice, so that a text
//! of a few thousand bytes can keep it busy for ever, or take its stack. An alias can stand for another type than the one
//! that is meant. Records are read without either.

use apache_avro::Schema;
use serde_json::{Map, Value};

/// Where a schema stands in another.
const PARTS: [&str; 4] = ["type", "fields", "items", "values"];
/// What a writer's schema says for readers of other schemas, and of old names.
const OF_NO_USE: [&str; 2] = ["default", "aliases"];

/// # Errors
/// Why it is no schema, or why its records could not be read whatever they hold.
pub(super) fn parse(text: &str) -> Result<Schema, String> {
    let no_schema = |error: &dyn std::fmt::Display| format!("it is no Avro schema: {error}");
    let mut schema = serde_json::from_str(text).map_err(|error| no_schema(&error))?;
    reduce(&mut schema)?;
    Schema::parse(&schema).map_err(|error| no_schema(&error))
}

/// # Errors
/// It has an enumeration: a reader that does not know the field passes over all values but those (`serde`'s `IgnoredAny`
/// asks for a variant with a value, and Avro's have none).
pub(crate) fn check_skippable(text: &str) -> Result<(), String> {
    let mut schema = serde_json::from_str(text).map_err(|error| error.to_string())?;
    reduce(&mut schema)
}

fn reduce(schema: &mut Value) -> Result<(), String> {
    match schema {
        Value::Array(all) => all.iter_mut().try_for_each(reduce),
        Value::Object(one) => {
            check_definition(one)?;
            for key in OF_NO_USE {
                one.remove(key);
            }
            PARTS
                .iter()
                .try_for_each(|part| one.get_mut(*part).map_or(Ok(()), reduce))
        }
        _ => Ok(()),
    }
}

fn check_definition(object: &Map<String, Value>) -> Result<(), String> {
    let name = object.get("name").and_then(Value::as_str);
    match object.get("type").and_then(Value::as_str) {
        // Without a name the library takes a type that is called "record", if there is one.
        Some(kind @ ("record" | "error" | "fixed" | "enum")) if name.is_none() => Err(format!("a {kind} has no name")),
        // A field may be of a type that is called so, and has no symbols.
        Some("enum") if object.contains_key("symbols") => Err(format!(
            "{} is an enumeration, which no reader passes over that does not know it: take a string",
            name.unwrap_or_default()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of these fields.
    fn record(fields: &str) -> String {
        format!(r#"{{ "type": "record", "name": "R", "namespace": "n", "fields": [{fields}] }}"#)
    }

    #[test]
    fn defaults_are_not_tried() {
        // Each level of the default would be tried twice.
        let levels = 40;
        let (mut schema, mut default) = (r#""null""#.to_owned(), "null".to_owned());
        for _ in 0..levels {
            schema = format!(r#"[{{ "type": "map", "values": {schema} }}, "null"]"#);
            default = format!(r#"{{ "a": {default} }}"#);
        }
        let text = record(&format!(r#"{{ "name": "f", "type": {schema}, "default": {default} }}"#));
        let schema = parse(&text).expect("a schema");
        let Schema::Record(record) = schema else {
            panic!("a record");
        };
        assert_eq!(record.fields[0].default, None);
    }

    #[test]
    fn an_alias_stands_for_nothing() {
        let text = record(
            r#"{ "name": "a", "type": { "type": "record", "name": "X", "aliases": ["n.Y"], "fields": [] } },
               { "name": "b", "type": "n.Y" }"#,
        );
        parse(&text).expect_err("there is no Y");
    }

    #[test]
    fn a_definition_has_a_name() {
        for kind in ["record", "enum", "fixed", "error"] {
            let text = record(&format!(
                r#"{{ "name": "a", "type": {{ "type": "array", "items": {{ "type": "{kind}" }} }} }}"#
            ));
            assert_eq!(parse(&text).err(), Some(format!("a {kind} has no name")));
        }
    }

    #[test]
    fn an_enumeration_is_refused_wherever_it_is() {
        let enumeration = r#"{ "type": "enum", "name": "E", "symbols": ["A"] }"#;
        for field in [
            enumeration.to_owned(),
            format!(r#"["null", {enumeration}]"#),
            format!(r#"{{ "type": "map", "values": {enumeration} }}"#),
        ] {
            let text = record(&format!(r#"{{ "name": "a", "type": {field} }}"#));
            let refused = check_skippable(&text).expect_err("an enumeration");
            assert!(refused.starts_with("E is an enumeration"), "{refused}");
            assert_eq!(parse(&text).err(), Some(refused));
        }
    }

    #[test]
    fn what_a_type_or_a_field_is_called_says_nothing_of_it() {
        let text = record(
            r#"{ "name": "default", "type": "string" },
               { "name": "e", "type": { "type": "record", "name": "aliases", "fields": [
                   { "name": "enum", "type": "long", "x": { "type": "enum" } } ] } }"#,
        );
        let schema = parse(&text).expect("a schema");
        let Schema::Record(record) = schema else {
            panic!("a record");
        };
        assert_eq!(record.fields.len(), 2);
    }

    #[test]
    fn a_field_of_a_type_that_is_called_enum_is_none() {
        let text = record(
            r#"{ "name": "a", "type": { "type": "record", "name": "enum", "fields": [ { "name": "n", "type": "long" } ] } },
               { "name": "b", "type": "enum" }"#,
        );
        assert_eq!(check_skippable(&text), Ok(()));
    }
}
