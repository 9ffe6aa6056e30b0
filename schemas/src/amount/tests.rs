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

/// Any decimal that the library can hold, most of them near the borders of what money is.
fn decimals() -> impl Strategy<Value = Decimal> {
    let anything = (any::<i128>(), 0..=28_u32).prop_filter_map("fits", |(number, scale)| {
        Decimal::try_from_i128_with_scale(number >> 32, scale).ok()
    });
    let near_the_borders = (-3..=3_i64, 0..=4_u32, any::<bool>())
        .prop_map(|(by, scale, negative)| Decimal::new(if negative { -MAX_CENTS + by } else { MAX_CENTS + by }, scale));
    let cents = (any::<i64>(), 0..=6_u32).prop_map(|(number, scale)| Decimal::new(number, scale));
    prop_oneof![anything, near_the_borders, cents]
}

/// What a decimal is in cents, by whole numbers alone; `None` if it is no money either way.
fn exact_cents(decimal: Decimal) -> Option<i64> {
    let normal = decimal.normalize();
    let scale = normal.scale();
    let cents = match scale {
        0..=2 => normal.mantissa().checked_mul(10_i128.pow(2 - scale))?,
        _ => return None,
    };
    i64::try_from(cents)
        .ok()
        .filter(|cents| cents.unsigned_abs() <= MAX_CENTS.unsigned_abs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_decimal_is_taken_exactly_or_not_at_all(decimal in decimals()) {
        let cents = exact_cents(decimal);
        let amount = Amount::from_decimal(decimal).map(Amount::cents).ok();
        prop_assert_eq!(amount, cents.filter(|cents| *cents > 0));
        let balance = Balance::from_decimal(decimal).map(|balance| cents_of(balance.into()).expect("in range")).ok();
        prop_assert_eq!(balance, cents.filter(|cents| *cents >= 0));
        let signed = SignedAmount::from_decimal(decimal).map(|line| cents_of(line.into()).expect("in range")).ok();
        prop_assert_eq!(signed, cents.filter(|cents| *cents != 0));
    }

    #[test]
    fn any_text_is_an_amount_or_refused(text in ".{0,40}") {
        if let Ok(amount) = text.parse::<Amount>() {
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        }
        let _ = text.parse::<Balance>();
        let _ = text.parse::<SignedAmount>();
    }

    #[test]
    fn every_text_of_digits_is_taken_exactly_or_not_at_all(text in "-?[0-9]{1,18}(\\.[0-9]{0,30})?") {
        let cents = exact_cents_of_text(&text);
        let signed = text.parse::<SignedAmount>().map(|line| cents_of(line.into()).expect("in range")).ok();
        prop_assert_eq!(signed, cents.filter(|cents| *cents != 0));
        let balance = text.parse::<Balance>().map(|balance| cents_of(balance.into()).expect("in range")).ok();
        prop_assert_eq!(balance, cents.filter(|cents| *cents >= 0));
    }

    #[test]
    fn money_adds_up_as_whole_numbers_do(start in 0..=MAX_CENTS, change in 1..=MAX_CENTS) {
        let balance = Balance::from_decimal(Decimal::new(start, 2)).expect("in range");
        let amount = Amount::from_cents(change).expect("in range");
        let cents = |balance: Balance| cents_of(balance.into()).expect("in range");
        let more = Some(start + change).filter(|sum| *sum <= MAX_CENTS);
        let less = Some(start - change).filter(|rest| *rest >= 0);
        prop_assert_eq!(balance.checked_add(amount).map(cents), more);
        prop_assert_eq!(balance.checked_sub(amount).map(cents), less);
    }
}

/// The same from the text, digit by digit.
fn exact_cents_of_text(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (two, rest) = fraction.split_at(fraction.len().min(2));
    if rest.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let cents: i128 = format!("{whole}{two:0<2}").parse().ok()?;
    i64::try_from(sign * cents)
        .ok()
        .filter(|cents| cents.unsigned_abs() <= MAX_CENTS.unsigned_abs())
}

#[test]
fn nothing_is_told_apart_from_too_much() {
    assert_eq!(Amount::from_cents(0), Err(AmountError::Zero));
    assert_eq!("0.00".parse::<Amount>(), Err(AmountError::Zero));
    assert_eq!(Amount::from_cents(-1), Err(AmountError::OutOfRange));
}

#[test]
fn the_smallest_number_of_cents_is_refused_like_any_that_is_too_large() {
    let smallest = Decimal::new(i64::MIN, 2);
    assert_eq!(SignedAmount::from_decimal(smallest), Err(AmountError::OutOfRange));
    assert_eq!(Balance::from_decimal(smallest), Err(AmountError::OutOfRange));
    assert_eq!(Amount::from_decimal(smallest), Err(AmountError::OutOfRange));
}
