//! Which schemas may be read at all: those whose records take no more time and stack than their bytes are worth.
//!
//! A schema comes from the registry, so whoever may register one could hang or kill every consumer with a few bytes:
//! by a record inside itself, a hundred thousand deep, a list of 2^62 elements that take no bytes, or sixty records that
//! each hold the one before twice.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{FixedSchema, InnerDecimalSchema, Name, RecordSchema, ResolvedSchema, UuidSchema};

use super::ALLOCATION_MAX_BYTES;

/// Values that take no bytes, in one record or one element of a list.
const FREE_MAX: u64 = 256;
/// Records, lists and maps within each other, whatever names stand between them.
const DEPTH_MAX: u64 = 64;

/// # Errors
/// Why its records could cost more than they weigh.
pub(super) fn check_bounded(schema: &Schema) -> Result<(), String> {
    ResolvedSchema::try_from(schema).map_err(|error| error.to_string())?;
    Check::default().cost(schema).map(|_| ())
}

/// What one value of a schema may cost beyond its bytes.
#[derive(Clone, Copy)]
struct Cost {
    takes_bytes: bool,
    /// Values in it that take no bytes, a record among them if nothing in it takes any.
    free: u64,
    depth: u64,
}

impl Cost {
    /// Of a value that holds no other.
    fn of_leaf(takes_bytes: bool) -> Self {
        Self {
            takes_bytes,
            free: u64::from(!takes_bytes),
            depth: 0,
        }
    }

    /// Of a value that says with a byte of its own what follows: its choice, or how many.
    fn behind_a_byte(self) -> Self {
        Self {
            takes_bytes: true,
            free: 0,
            depth: self.depth + 1,
        }
    }
}

/// Each named schema is looked at once, where it is defined; that is before it is used.
#[derive(Default)]
struct Check {
    known: HashMap<Name, Cost>,
    /// The records that enclose what is looked at.
    inside: Vec<Name>,
}

impl Check {
    fn cost(&mut self, schema: &Schema) -> Result<Cost, String> {
        match schema {
            Schema::Record(record) => self.record(record),
            Schema::Ref { name } if self.inside.contains(name) => Err(format!("{name} contains itself")),
            Schema::Ref { name } => {
                (self.known.get(name).copied()).ok_or_else(|| format!("{name} is not defined before it"))
            }
            Schema::Union(union) => self.union(union.variants()),
            Schema::Array(array) => self.elements(&array.items),
            // A map's keys take bytes.
            Schema::Map(map) => self.cost(&map.types).map(Cost::behind_a_byte),
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                self.fixed(fixed)
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Fixed(fixed) => self.fixed(fixed),
                InnerDecimalSchema::Bytes => Ok(Cost::of_leaf(true)),
            },
            Schema::Enum(symbols) => {
                let cost = Cost::of_leaf(true);
                self.known.insert(symbols.name.clone(), cost);
                Ok(cost)
            }
            Schema::Null => Ok(Cost::of_leaf(false)),
            _ => Ok(Cost::of_leaf(true)),
        }
    }

    fn record(&mut self, record: &RecordSchema) -> Result<Cost, String> {
        let mut cost = Cost {
            takes_bytes: false,
            free: 0,
            depth: 0,
        };
        self.inside.push(record.name.clone());
        for field in &record.fields {
            let field = self.cost(&field.schema)?;
            cost.takes_bytes |= field.takes_bytes;
            cost.free += field.free;
            cost.depth = cost.depth.max(field.depth + 1);
        }
        self.inside.pop();
        cost.free += u64::from(!cost.takes_bytes);
        if cost.free > FREE_MAX {
            return Err(format!(
                "{} has more than {FREE_MAX} values that take no bytes",
                record.name
            ));
        }
        if cost.depth > DEPTH_MAX {
            return Err(format!(
                "{} has values in values, more than {DEPTH_MAX} deep",
                record.name
            ));
        }
        self.known.insert(record.name.clone(), cost);
        Ok(cost)
    }

    /// The library makes room for them before it has seen one.
    fn fixed(&mut self, fixed: &FixedSchema) -> Result<Cost, String> {
        if fixed.size > ALLOCATION_MAX_BYTES {
            return Err(format!("{} has more than {ALLOCATION_MAX_BYTES} bytes", fixed.name));
        }
        let cost = Cost::of_leaf(fixed.size > 0);
        self.known.insert(fixed.name.clone(), cost);
        Ok(cost)
    }

    fn union(&mut self, variants: &[Schema]) -> Result<Cost, String> {
        let mut cost = Cost::of_leaf(true);
        for variant in variants {
            let variant = self.cost(variant)?;
            // The byte that chooses pays for one.
            cost.free = cost.free.max(variant.free.saturating_sub(1));
            cost.depth = cost.depth.max(variant.depth);
        }
        Ok(cost)
    }

    fn elements(&mut self, elements: &Schema) -> Result<Cost, String> {
        let cost = self.cost(elements)?;
        if !cost.takes_bytes {
            return Err("it has a list of elements that take no bytes".to_owned());
        }
        Ok(cost.behind_a_byte())
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
            r#"{ "type": "fixed", "name": "F", "size": 0, "logicalType": "decimal", "precision": 1 }"#,
            r#"{ "type": "record", "name": "Empty", "fields": [] }"#,
            r#"{ "type": "record", "name": "Nulls", "fields": [ { "name": "n", "type": "null" } ] }"#,
        ] {
            let refused = check(&format!(r#"{{ "type": "array", "items": {items} }}"#));
            assert!(refused.is_err(), "{items}");
        }
    }

    #[test]
    fn bytes_of_a_fixed_number_are_no_more_than_a_text_may_have() {
        let sized = |size: usize, meaning: &str| {
            check(&format!(
                r#"{{ "type": "fixed", "name": "F", "size": {size}{meaning} }}"#
            ))
        };
        let decimal = r#", "logicalType": "decimal", "precision": 3"#;
        for meaning in ["", decimal] {
            assert_eq!(sized(ALLOCATION_MAX_BYTES, meaning), Ok(()), "{meaning}");
            for size in [ALLOCATION_MAX_BYTES + 1, 1 << 62] {
                let refused = sized(size, meaning).expect_err("too many");
                assert_eq!(refused, "F has more than 1048576 bytes", "{meaning}");
            }
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

    /// A record whose fields define `number` records, each by `fields` of the one before it.
    fn chain(number: usize, first: &str, fields: impl Fn(usize) -> String) -> Result<(), String> {
        let definitions = (1..number).map(|n| {
            format!(
                r#"{{ "type": "record", "name": "A{n}", "fields": [{}] }}"#,
                fields(n - 1)
            )
        });
        let all = [format!(r#"{{ "type": "record", "name": "A0", "fields": [{first}] }}"#)]
            .into_iter()
            .chain(definitions);
        let all: Vec<String> = all
            .enumerate()
            .map(|(n, record)| format!(r#"{{ "name": "f{n}", "type": {record} }}"#))
            .collect();
        let text = format!(
            r#"{{ "type": "record", "name": "R", "namespace": "n", "fields": [ {} ] }}"#,
            all.join(",")
        );
        check_bounded(&Schema::parse_str(&text).expect("a schema"))
    }

    #[test]
    fn records_that_double_are_refused_at_once() {
        let twice = |n| format!(r#"{{ "name": "a", "type": "A{n}" }}, {{ "name": "b", "type": "A{n}" }}"#);
        let refused = chain(60, "", twice).expect_err("2^60 records of no bytes");
        assert!(refused.contains("more than 256 values that take no bytes"), "{refused}");
        chain(4, "", twice).expect("a few");
        // In a union, too.
        let twice = |n| format!(r#"{{ "name": "a", "type": ["A{n}", "null"] }}, {{ "name": "b", "type": "A{n}" }}"#);
        chain(60, r#"{ "name": "n", "type": "null" }"#, twice).expect_err("2^60 values of no bytes");
    }

    #[test]
    fn only_what_takes_no_bytes_is_counted() {
        let fields = |kind: &str, count: u64| {
            let fields: Vec<String> = (0..count)
                .map(|n| format!(r#"{{ "name": "f{n}", "type": "{kind}" }}"#))
                .collect();
            chain(1, &fields.join(","), |_| String::new())
        };
        // The record around them takes no bytes, either, nor does the one around that.
        assert_eq!(fields("null", FREE_MAX - 2), Ok(()));
        fields("null", FREE_MAX - 1).expect_err("one too many");
        assert_eq!(fields("boolean", 2 * FREE_MAX), Ok(()));
    }

    #[test]
    fn records_in_records_are_refused_before_they_take_the_stack() {
        let once = |n| format!(r#"{{ "name": "a", "type": "A{n}" }}"#);
        let number = r#"{ "name": "n", "type": "long" }"#;
        // The number is in the first of them, and all are in one.
        chain(63, number, once).expect("deep, and not too deep");
        let refused = chain(10_000, number, once).expect_err("too deep");
        assert!(refused.contains("more than 64 deep"), "{refused}");
        // Lists between them take the stack as well.
        let listed = |n| {
            let lists = (0..20).fold(format!(r#""A{n}""#), |items, _| {
                format!(r#"{{ "type": "array", "items": {items} }}"#)
            });
            format!(r#"{{ "name": "a", "type": {lists} }}"#)
        };
        chain(3, number, listed).expect("twice twenty lists");
        chain(5, number, listed).expect_err("four times twenty lists");
    }

    #[test]
    fn a_name_costs_what_it_stands_for() {
        let used = |definition: &str, name: &str| {
            let text = format!(
                r#"{{ "type": "record", "name": "R", "namespace": "n", "fields": [
                    {{ "name": "f", "type": {definition} }},
                    {{ "name": "g", "type": {{ "type": "array", "items": "{name}" }} }} ] }}"#
            );
            check_bounded(&Schema::parse_str(&text).expect("a schema"))
        };
        used(r#"{ "type": "fixed", "name": "F", "size": 0 }"#, "F").expect_err("no bytes");
        used(r#"{ "type": "record", "name": "E", "fields": [] }"#, "E").expect_err("no bytes");
        used(r#"{ "type": "fixed", "name": "F", "size": 1 }"#, "F").expect("a byte each");
        used(r#"{ "type": "enum", "name": "E", "symbols": ["A"] }"#, "E").expect("a byte each");
        let decimal = |size| {
            format!(r#"{{ "type": "fixed", "name": "D", "size": {size}, "logicalType": "decimal", "precision": 2 }}"#)
        };
        used(&decimal(2), "D").expect("two bytes each");
        used(&decimal(0), "D").expect_err("no bytes");
        // An alias stands for what is defined under another name, and the library takes it for a definition here.
        let named = r#"{ "type": "record", "name": "X", "namespace": "", "aliases": ["n.X"], "fields": [] }"#;
        assert_eq!(used(named, "X"), Err("n.X is not defined before it".to_owned()));
    }
}
