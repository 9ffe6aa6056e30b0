//! Why a record is parked: a code that stays the same, and a sentence for people.

use crate::backend::Stage;

/// Why a record is parked, as operators filter by it. Codes are stored: none is ever renamed or used again for
/// something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The record has no value.
    NoValue,
    /// The value is larger than any event that is staged.
    TooLarge,
    /// The value is no event: framing, encoding, or a field outside its rules.
    Undecodable,
    /// The registry has no schema of the id that the value names.
    UnknownSchema,
    /// The schema that the value names is not one of this event.
    IncompatibleSchema,
    /// The record's key is not the event's.
    WrongKey,
    /// The event's id is no UUIDv7, or its time is so far from now that the inbox could not remember it.
    UnusableId,
    /// The processor rejected the event, because a rule of the domain is broken.
    Rejected,
    /// The database refused what came of the event.
    Refused,
    /// The processor panicked: a mistake in the program.
    Panicked,
    /// Nothing failed: an earlier record of its key is parked.
    Held,
}

impl Reason {
    /// All of them, in the order of the stages.
    pub const ALL: [Self; 11] = [
        Self::NoValue,
        Self::TooLarge,
        Self::Undecodable,
        Self::UnknownSchema,
        Self::IncompatibleSchema,
        Self::WrongKey,
        Self::UnusableId,
        Self::Rejected,
        Self::Refused,
        Self::Panicked,
        Self::Held,
    ];

    /// The code, as it is stored and shown.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::TooLarge => "too_large",
            Self::Undecodable => "undecodable",
            Self::UnknownSchema => "unknown_schema",
            Self::IncompatibleSchema => "incompatible_schema",
            Self::WrongKey => "wrong_key",
            Self::UnusableId => "unusable_id",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Panicked => "panicked",
            Self::Held => "held",
        }
    }

    /// Where a record fails for this reason.
    #[must_use]
    pub fn stage(self) -> Stage {
        match self {
            Self::Rejected => Stage::Process,
            Self::Refused | Self::Panicked => Stage::Store,
            Self::Held => Stage::Held,
            _ => Stage::Deserialize,
        }
    }
}

/// A record that could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, as a code.
    pub reason: Reason,
    /// Why, in words.
    pub cause: String,
}

impl Failure {
    /// A failure with its words. They may quote the record, so what no database stores as text is replaced.
    #[must_use]
    pub fn new(reason: Reason, cause: impl Into<String>) -> Self {
        let mut cause: String = cause.into();
        if cause.contains('\0') {
            cause = cause.replace('\0', "\u{fffd}");
        }
        Self { reason, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_quotes_a_record_can_be_stored() {
        let failure = Failure::new(Reason::Undecodable, "found `\0` at 3");
        assert_eq!(failure.cause, "found `\u{fffd}` at 3");
    }

    #[test]
    fn each_reason_has_a_code_of_its_own() {
        let mut codes = Reason::ALL.map(Reason::code);
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]), "{codes:?}");
    }
}
