//! Which schemas may be read at all: those whose records take no more time and stack than their bytes are worth.
//!
//! A schema comes from the registry, so whoever may register one could hang or kill every consumer with a few bytes:
//! by a record inside itself, a hundred thousand deep, or a list of 2^62 elements that take no bytes.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Name, Names, RecordSchema, ResolvedSchema};

/// # Errors
/// Why its records could cost more than they weigh.
pub(super) fn check_bounded(schema: &Schema) -> Result<(), String> {
    let resolved = ResolvedSchema::try_from(schema).map_err(|error| error.to_string())?;
    let names = resolved.get_names();
    let names: Names = names
        .iter()
        .map(|(name, schema)| (name.clone(), (*schema).clone()))
        .collect();
    Check { names: &names }.descend(schema, &mut Vec::new())
}

struct Check<'a> {
    names: &'a HashMap<Name, Schema>,
}

impl Check<'_> {
    /// `inside`: the records that enclose this one.
    fn descend(&self, schema: &Schema, inside: &mut Vec<Name>) -> Result<(), String> {
        match schema {
            Schema::Record(record) => self.record(record, inside),
            Schema::Ref { name } if inside.contains(name) => Err(format!("{name} contains itself")),
            Schema::Ref { name } => self.names.get(name).map_or(Ok(()), |named| self.descend(named, inside)),
            Schema::Union(union) => union
                .variants()
                .iter()
                .try_for_each(|variant| self.descend(variant, inside)),
            Schema::Array(array) => self.elements(&array.items, inside),
            // A map's keys take bytes.
            Schema::Map(map) => self.descend(&map.types, inside),
            _ => Ok(()),
        }
    }

    fn record(&self, record: &RecordSchema, inside: &mut Vec<Name>) -> Result<(), String> {
        inside.push(record.name.clone());
        let fields = record
            .fields
            .iter()
            .try_for_each(|field| self.descend(&field.schema, inside));
        inside.pop();
        fields
    }

    fn elements(&self, elements: &Schema, inside: &mut Vec<Name>) -> Result<(), String> {
        self.descend(elements, inside)?;
        if self.takes_no_bytes(elements) {
            return Err("it has a list of elements that take no bytes".to_owned());
        }
        Ok(())
    }

    fn takes_no_bytes(&self, schema: &Schema) -> bool {
        match schema {
            Schema::Null => true,
            Schema::Fixed(fixed) => fixed.size == 0,
            Schema::Record(record) => record.fields.iter().all(|field| self.takes_no_bytes(&field.schema)),
            Schema::Ref { name } => self.names.get(name).is_some_and(|named| self.takes_no_bytes(named)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a record with this one field may be read.
    fn check(field: &str) -> Result<(), String> {
        let text = format!(r#"{{ "type": "record", "name": "R", "fields": [ {{ "name": "f", "type": {field} }} ] }}"#);
        check_bounded(&Schema::parse_str(&text).expect("a schema"))
    }

    #[test]
    fn every_committed_schema_may_be_read() {
        for subject in crate::SUBJECTS {
            for version in subject.versions {
                assert_eq!(
                    check_bounded(&version.schema()),
                    Ok(()),
                    "{} {}",
                    subject.name,
                    version.number
                );
            }
        }
    }

    #[test]
    fn a_record_inside_itself_is_refused() {
        for field in [
            r#"["null", "R"]"#,
            r#"{ "type": "array", "items": "R" }"#,
            r#"{ "type": "map", "values": "R" }"#,
            r#"{ "type": "record", "name": "Inner", "fields": [ { "name": "g", "type": ["null", "R"] } ] }"#,
        ] {
            assert_eq!(check(field), Err("R contains itself".to_owned()), "{field}");
        }
    }

    #[test]
    fn a_list_of_nothing_is_refused() {
        for items in [
            r#""null""#,
            r#"{ "type": "fixed", "name": "F", "size": 0 }"#,
            r#"{ "type": "record", "name": "Empty", "fields": [] }"#,
            r#"{ "type": "record", "name": "Nulls", "fields": [ { "name": "n", "type": "null" } ] }"#,
        ] {
            let refused = check(&format!(r#"{{ "type": "array", "items": {items} }}"#));
            assert!(refused.is_err(), "{items}");
        }
    }

    #[test]
    fn lists_maps_and_types_that_are_used_twice_may_be_read() {
        for field in [
            r#"{ "type": "array", "items": "string" }"#,
            r#"{ "type": "array", "items": { "type": "fixed", "name": "F", "size": 1 } }"#,
            r#"{ "type": "map", "values": "null" }"#,
            r#"["null", { "type": "array", "items": { "type": "record", "name": "P", "fields": [
                { "name": "a", "type": { "type": "fixed", "name": "F", "size": 2 } }, { "name": "b", "type": "F" },
                { "name": "n", "type": "null" } ] } }]"#,
        ] {
            assert_eq!(check(field), Ok(()), "{field}");
        }
    }
}
