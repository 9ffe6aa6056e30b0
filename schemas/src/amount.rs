//! Money: amounts, balances and ledger lines, all with exactly two decimals.
//!
//! One place for its rules; the API, the events and SQL use these types and no bare decimals.

#[cfg(feature = "openapi")]
mod openapi;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest amount and the largest balance, in cents: 9,999,999,999,999.99.
const MAX_CENTS: i64 = 999_999_999_999_999;

/// The text or number is no amount of money; says the rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not `^[0-9]{1,13}(\.[0-9]{1,2})?$`.
    #[error("must be 1 to 13 digits, optionally followed by a point and 1 or 2 decimals, such as \"50.00\"")]
    Malformed,
    /// Zero.
    #[error("must be greater than 0")]
    Zero,
    /// Too large, negative where that is not allowed, or more than two decimals.
    #[error("must be within 0.00 and 9999999999999.99 and have at most two decimals")]
    OutOfRange,
}

/// What is paid or topped up: 0.01 to 9,999,999,999,999.99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// What an account holds: 0.00 to 9,999,999,999,999.99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Balance(Decimal);

/// A change of a balance: an amount, negative for a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedAmount(Decimal);

fn cents_of(decimal: Decimal) -> Result<i64, AmountError> {
    let cents = decimal
        .checked_mul(Decimal::ONE_HUNDRED)
        .ok_or(AmountError::OutOfRange)?;
    if !cents.fract().is_zero() {
        return Err(AmountError::OutOfRange);
    }
    cents
        .to_i64()
        .filter(|cents| (-MAX_CENTS..=MAX_CENTS).contains(cents))
        .ok_or(AmountError::OutOfRange)
}

impl Amount {
    /// # Errors
    /// [`AmountError`]: zero, negative, too large, or more than two decimals.
    pub fn from_decimal(decimal: Decimal) -> Result<Self, AmountError> {
        Self::from_cents(cents_of(decimal)?)
    }

    /// # Errors
    /// [`AmountError`]: zero, negative or too large.
    pub fn from_cents(cents: i64) -> Result<Self, AmountError> {
        match cents {
            0 => Err(AmountError::Zero),
            1..=MAX_CENTS => Ok(Self(Decimal::new(cents, 2))),
            _ => Err(AmountError::OutOfRange),
        }
    }

    /// The amount in cents.
    #[must_use]
    pub fn cents(self) -> i64 {
        cents_of(self.0).expect("an amount is in range")
    }
}

impl Balance {
    /// An empty account.
    pub const ZERO: Self = Self(Decimal::from_parts(0, 0, 0, false, 2));

    /// # Errors
    /// [`AmountError`]: negative, too large, or more than two decimals.
    pub fn from_decimal(decimal: Decimal) -> Result<Self, AmountError> {
        match cents_of(decimal)? {
            cents @ 0.. => Ok(Self(Decimal::new(cents, 2))),
            _ => Err(AmountError::OutOfRange),
        }
    }

    /// The balance after a top-up; `None` if it would pass the limit.
    #[must_use]
    pub fn checked_add(self, amount: Amount) -> Option<Self> {
        Self::from_decimal(self.0 + amount.0).ok()
    }

    /// The balance after a payment; `None` if there is not enough.
    #[must_use]
    pub fn checked_sub(self, amount: Amount) -> Option<Self> {
        Self::from_decimal(self.0 - amount.0).ok()
    }
}

impl SignedAmount {
    /// # Errors
    /// [`AmountError`]: zero, too large either way, or more than two decimals.
    pub fn from_decimal(decimal: Decimal) -> Result<Self, AmountError> {
        match cents_of(decimal)? {
            0 => Err(AmountError::Zero),
            cents => Ok(Self(Decimal::new(cents, 2))),
        }
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (whole, fraction) = text
            .split_once('.')
            .map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits =
            |part: &str, max: usize| (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole, 13) || fraction.is_some_and(|fraction| !digits(fraction, 2)) {
            return Err(AmountError::Malformed);
        }
        Self::from_decimal(text.parse().map_err(|_| AmountError::Malformed)?)
    }
}

impl FromStr for Balance {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        // Exact: `parse` would round what has more decimals than it can hold.
        Self::from_decimal(Decimal::from_str_exact(text).map_err(|_| AmountError::Malformed)?)
    }
}

impl FromStr for SignedAmount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        // Exact: `parse` would round what has more decimals than it can hold.
        Self::from_decimal(Decimal::from_str_exact(text).map_err(|_| AmountError::Malformed)?)
    }
}

/// What the three types share: two decimals always, a string in JSON, a decimal in SQL.
macro_rules! money_conversions {
    ($money:ident) => {
        impl fmt::Display for $money {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:.2}", self.0)
            }
        }

        impl From<$money> for Decimal {
            fn from(money: $money) -> Self {
                money.0
            }
        }

        impl Serialize for $money {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $money {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // A string and nothing else: a JSON number has been a float somewhere on its way.
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

money_conversions!(Amount);
money_conversions!(Balance);
money_conversions!(SignedAmount);
