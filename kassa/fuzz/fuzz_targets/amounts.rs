//! Amounts as clients write them: what is taken is in range, and means the same when it is written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rust_decimal::Decimal;
use schemas::{Amount, Balance, SignedAmount};
use serde_json::from_slice;

const MAX_CENTS: i64 = 999_999_999_999_999;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(amount) = from_slice::<Amount>(bytes) {
        assert!((1..=MAX_CENTS).contains(&amount.cents()), "{amount:?}");
        assert_eq!(amount.to_string().parse(), Ok(amount));
        assert_eq!(Amount::from_decimal(Decimal::from(amount)), Ok(amount));
        let written = serde_json::to_vec(&amount).expect("an amount can be written");
        assert_eq!(from_slice::<Amount>(&written).ok(), Some(amount));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let by_text = text.parse::<Amount>().ok();
        let by_decimal = text
            .parse::<Decimal>()
            .ok()
            .and_then(|decimal| Amount::from_decimal(decimal).ok());
        if let Some(amount) = by_text {
            assert_eq!(by_decimal, Some(amount), "{text}");
        }
        if let Ok(decimal) = text.parse::<Decimal>() {
            let _ = (Balance::from_decimal(decimal), SignedAmount::from_decimal(decimal));
        }
    }
});
