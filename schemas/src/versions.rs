//! Every version of every schema, and that they can all read each other.

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use event::Event;

use crate::codec::foreign::check_skippable;
use crate::payment_request::PaymentRequest;
use crate::payment_status::PaymentStatus;

/// One version of an event's schema, as it is committed.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// From 1, without gaps.
    pub number: u32,
    /// The schema's text.
    pub avsc: &'static str,
}

impl Version {
    /// The one form that is sent to a registry: look-ups compare bytes.
    ///
    /// # Panics
    /// If the committed text is not JSON.
    #[must_use]
    pub fn minified(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(self.avsc).expect("a committed schema is JSON");
        json.to_string()
    }

    /// The parsed schema.
    ///
    /// # Panics
    /// If the committed text is not an Avro schema.
    #[must_use]
    pub fn schema(&self) -> Schema {
        Schema::parse_str(&self.minified()).expect("a committed schema is Avro")
    }
}

/// An event with versioned Avro schemas.
pub trait AvroEvent: Event {
    /// The registry's subject.
    const SUBJECT: &'static str;
    /// Every version, oldest first; the last one is written.
    const VERSIONS: &'static [Version];
}

/// A subject with all its versions.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The registry's name for it.
    pub name: &'static str,
    /// Oldest first.
    pub versions: &'static [Version],
}

/// All subjects, in the order of their names.
pub const SUBJECTS: [Subject; 2] = [
    Subject {
        name: PaymentRequest::SUBJECT,
        versions: PaymentRequest::VERSIONS,
    },
    Subject {
        name: PaymentStatus::SUBJECT,
        versions: PaymentStatus::VERSIONS,
    },
];

/// FULL_TRANSITIVE, offline: each version reads what each other one wrote. One line per pair.
///
/// # Errors
/// The first pair that cannot, or the first version with a field that older services could not pass over, with the reason.
pub fn check_compatibility(subject: &str, versions: &[Version]) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for (index, later) in versions.iter().enumerate() {
        if later.number as usize != index + 1 {
            return Err(format!(
                "{subject}: version {} stands in place {}",
                later.number,
                index + 1
            ));
        }
        check_skippable(later.avsc).map_err(|error| format!("{subject}: v{}: {error}", later.number))?;
        for earlier in &versions[..=index] {
            SchemaCompatibility::mutual_read(&later.schema(), &earlier.schema())
                .map_err(|error| format!("{subject}: v{} and v{}: {error}", earlier.number, later.number))?;
            lines.push(format!(
                "{subject}: v{} and v{} read each other",
                earlier.number, later.number
            ));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_reads_every_other() {
        for subject in SUBJECTS {
            let lines = check_compatibility(subject.name, subject.versions).expect("compatible");
            let versions = subject.versions.len();
            assert_eq!(lines.len(), versions * (versions + 1) / 2);
        }
    }

    #[test]
    fn a_version_that_takes_a_field_away_is_refused() {
        let first = PaymentStatus::VERSIONS[0];
        let without_user = first.avsc.replace("\"userId\"", "\"customer\"");
        let second = Version {
            number: 2,
            avsc: without_user.leak(),
        };
        let error = check_compatibility(PaymentStatus::SUBJECT, &[first, second]).expect_err("incompatible");
        assert!(error.contains("v1 and v2"), "{error}");
    }

    #[test]
    fn a_version_with_an_enumeration_is_refused() {
        let [first, second] = *PaymentStatus::VERSIONS else {
            panic!("two versions");
        };
        let field = r#""fields": [ { "name": "currency", "type": { "type": "enum", "name": "Currency",
            "symbols": ["EUR", "USD"] }, "default": "EUR" },"#;
        let third = Version {
            number: 3,
            avsc: second.avsc.replacen("\"fields\": [", field, 1).leak(),
        };
        let error = check_compatibility(PaymentStatus::SUBJECT, &[first, second, third]).expect_err("an enumeration");
        assert!(error.contains("v3: Currency is an enumeration"), "{error}");
    }

    #[test]
    fn versions_are_counted_from_1_without_gaps() {
        let [first, second] = *PaymentStatus::VERSIONS else {
            panic!("two versions");
        };
        for misplaced in [&[second][..], &[first, first], &[second, first]] {
            let error = check_compatibility(PaymentStatus::SUBJECT, misplaced).expect_err("a gap");
            assert!(error.contains("stands in place"), "{error}");
        }
    }
}
