//! What is an amount and what is not, and that arithmetic never leaves the range.

use proptest::prelude::*;

use super::*;

#[test]
fn amounts_are_shown_with_two_decimals() {
    let shown = [
        ("1", "1.00"),
        ("0.01", "0.01"),
        ("0.1", "0.10"),
        ("50", "50.00"),
        ("50.0", "50.00"),
        ("50.00", "50.00"),
        ("007", "7.00"),
        ("0000000000001", "1.00"),
        ("9999999999999", "9999999999999.00"),
        ("9999999999999.99", "9999999999999.99"),
        ("0.99", "0.99"),
        ("1234567890123.45", "1234567890123.45"),
    ];
    for (text, expected) in shown {
        assert_eq!(
            text.parse::<Amount>().map(|amount| amount.to_string()).as_deref(),
            Ok(expected),
            "{text}"
        );
    }
}

#[test]
fn what_is_not_an_amount_is_refused() {
    let refused = [
        "",
        " ",
        "0",
        "0.0",
        "0.00",
        "-1",
        "+1",
        "-0.01",
        "1e3",
        "1E3",
        ".5",
        "5.",
        "1.234",
        "0.001",
        "1,00",
        "1 000",
        " 1",
        "1 ",
        "NaN",
        "inf",
        "0x10",
        "10000000000000",
        "99999999999999.99",
        "1.0.0",
        "١",
        "１",
        "1_000",
        "abc",
        "1.a",
        "1.-1",
        "--1",
        "1\n",
        "\u{0}1",
        "1.00€",
        "$1",
        "1/2",
        "٫5",
        "1e-2",
        "true",
        "null",
    ];
    for text in refused {
        assert!(text.parse::<Amount>().is_err(), "{text:?}");
    }
}

#[test]
fn json_takes_strings_and_no_numbers() {
    assert_eq!(
        serde_json::from_str::<Amount>("\"5\"").expect("an amount").to_string(),
        "5.00"
    );
    for json in ["5", "5.0", "5e0", "null", "true", "[]", "{}"] {
        assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
    }
    assert_eq!(serde_json::to_string(&Balance::ZERO).expect("json"), "\"0.00\"");
}

#[test]
fn a_balance_never_leaves_its_range() {
    let cent = Amount::from_cents(1).expect("an amount");
    let largest = Balance::from_decimal(Decimal::new(MAX_CENTS, 2)).expect("a balance");
    assert_eq!(Balance::ZERO.checked_sub(cent), None);
    assert_eq!(largest.checked_add(cent), None);
    assert_eq!(
        largest.checked_sub(cent).and_then(|less| less.checked_add(cent)),
        Some(largest)
    );
    assert_eq!(
        "-50.00".parse::<SignedAmount>().map(|line| line.to_string()).as_deref(),
        Ok("-50.00")
    );
}

proptest! {
    #[test]
    fn every_cent_survives_text(cents in 1..=MAX_CENTS) {
        let amount = Amount::from_cents(cents).expect("in range");
        prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        prop_assert_eq!(amount.cents(), cents);
    }

    #[test]
    fn parsing_follows_the_pattern(text in "[-+0-9.eE ,]{0,18}") {
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        let digits = |part: &str, max| !part.is_empty() && part.len() <= max && part.bytes().all(|b| b.is_ascii_digit());
        let matches = digits(whole, 13) && digits(fraction, 2);
        let is_zero = !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        prop_assert_eq!(text.parse::<Amount>().is_ok(), matches && !is_zero);
    }

    #[test]
    fn adding_and_taking_away_again_changes_nothing(start in 0..=MAX_CENTS, change in 1..=MAX_CENTS) {
        let start = Balance::from_decimal(Decimal::new(start, 2)).expect("in range");
        let change = Amount::from_cents(change).expect("in range");
        if let Some(more) = start.checked_add(change) {
            prop_assert_eq!(more.checked_sub(change), Some(start));
        }
    }
}
