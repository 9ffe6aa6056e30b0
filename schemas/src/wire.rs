//! What the events share on the wire: decimals as bytes, times as microseconds, and the rules of their fields.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::amount::Amount;

/// An event and its Avro record.
pub(crate) trait OnTheWire: Sized {
    type Wire: serde::Serialize + serde::de::DeserializeOwned;

    fn to_wire(&self) -> Self::Wire;
    fn from_wire(wire: Self::Wire) -> Result<Self, String>;
}

/// Cents, big-endian two's complement, in full width: readers that resolve schemas refuse fewer bytes than the
/// precision needs.
pub(crate) fn amount_to_bytes(amount: Amount) -> Vec<u8> {
    amount.cents().to_be_bytes().to_vec()
}

/// Takes any width that other languages write.
pub(crate) fn amount_from_bytes(bytes: &[u8]) -> Result<Amount, String> {
    let (Some(first), true) = (bytes.first(), bytes.len() <= 16) else {
        return Err(format!("amount has {} bytes, not 1 to 16", bytes.len()));
    };
    let mut wide = [if first & 0x80 == 0 { 0 } else { 0xff }; 16];
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    let cents = i64::try_from(i128::from_be_bytes(wide)).map_err(|_| "amount is out of range".to_owned())?;
    Amount::from_cents(cents).map_err(|error| format!("amount {error}"))
}

pub(crate) fn time_from_micros(micros: i64, field: &str) -> Result<DateTime<Utc>, String> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| format!("{field} is out of range"))
}

pub(crate) fn uuid(text: &str, field: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text).map_err(|error| format!("{field} is no UUID: {error}"))
}

/// A UUIDv7: the inbox is ordered by the time in it.
pub(crate) fn event_id(text: &str) -> Result<Uuid, String> {
    let id = uuid(text, "eventId")?;
    if id.get_version_num() == 7 {
        Ok(id)
    } else {
        Err(format!("eventId {id} is not a UUIDv7"))
    }
}

/// 1 to 255 visible ASCII characters, as at the front door.
pub(crate) fn user_id(text: String) -> Result<String, String> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if (1..=255).contains(&text.len()) && visible {
        Ok(text)
    } else {
        Err("userId is not 1 to 255 visible ASCII characters".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_in_every_width_that_others_write() {
        let cents = |bytes: &[u8]| amount_from_bytes(bytes).map(Amount::cents);
        assert_eq!(cents(&[1]), Ok(1));
        assert_eq!(cents(&[0, 0x80]), Ok(128));
        let widest = [&[0; 15][..], &[7]].concat();
        assert_eq!(cents(&widest), Ok(7));
        for (bytes, cause) in [
            (&[][..], "amount has 0 bytes"),
            (&[0; 17], "amount has 17 bytes"),
            (&[0xff], "within 0.00"),
            (&[0x7f; 16], "out of range"),
        ] {
            let said = cents(bytes).expect_err("no amount");
            assert!(said.contains(cause), "{said}");
        }
    }

    #[test]
    fn a_user_has_1_to_255_visible_letters() {
        for good in ["a".to_owned(), "!~".to_owned(), "x".repeat(255)] {
            assert_eq!(user_id(good.clone()), Ok(good));
        }
        for bad in [
            String::new(),
            "x".repeat(256),
            " ".to_owned(),
            "é".to_owned(),
            "a\u{7f}".to_owned(),
        ] {
            user_id(bad.clone()).expect_err(&bad);
        }
    }
}
