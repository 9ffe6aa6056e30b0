//! Whose orders: accounts with money, and how often each of them orders.

use std::sync::Arc;

use anyhow::Context as _;
use hyper::header::HeaderValue;
use sqlx::PgPool;

/// As many as the limit program has.
pub(crate) const USERS: usize = 100_000;

/// An account each, with money for ever; its ledger says where the money came from.
const ACCOUNTS: &str = "
with opened as (
    insert into accounts (user_id, id, balance, version)
    select 'load-' || lpad(n::text, 5, '0'), gen_random_uuid(), 1000000000, 1 from generate_series(0, $1 - 1) n
    on conflict do nothing
    returning user_id, balance
)
insert into ledger (user_id, version, id, kind, amount, balance_after)
select user_id, 1, gen_random_uuid(), 'topup', balance, balance from opened";

/// How often each of them orders.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// All alike.
    Uniform,
    /// One user places all orders.
    One,
    /// Zipf's law with exponent 1: the n-th user orders a n-th as often as the first. Sums of shares, up to 1.
    Zipf(Arc<[f64]>),
}

/// The users, and how they are chosen.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    names: Arc<[HeaderValue]>,
    choice: Choice,
}

impl Users {
    /// Opens the accounts that are not there yet.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn open(payments: &PgPool) -> anyhow::Result<Self> {
        let number = i32::try_from(USERS)?;
        let opened = sqlx::query(ACCOUNTS).bind(number).execute(payments).await;
        opened.context("could not open the accounts")?;
        Self::known()
    }

    pub(crate) fn known() -> anyhow::Result<Self> {
        let names: Result<Arc<_>, _> = (0..USERS)
            .map(|n| HeaderValue::try_from(format!("load-{n:05}")))
            .collect();
        Ok(Self {
            names: names?,
            choice: Choice::Uniform,
        })
    }

    /// The same users, all orders from one of them.
    pub(crate) fn one(&self) -> Self {
        Self {
            choice: Choice::One,
            ..self.clone()
        }
    }

    /// The same users, few of them very busy.
    pub(crate) fn zipf(&self) -> Self {
        let shares: Vec<f64> = (1..=self.names.len()).map(|rank| 1.0 / rank as f64).collect();
        let whole: f64 = shares.iter().sum();
        let sums = shares.iter().scan(0.0, |sum, share| {
            *sum += share / whole;
            Some(*sum)
        });
        Self {
            choice: Choice::Zipf(sums.collect()),
            ..self.clone()
        }
    }

    /// Who orders next.
    pub(crate) fn choose(&self, random: &mut Random) -> &HeaderValue {
        let last = self.names.len() - 1;
        let index = match &self.choice {
            Choice::Uniform => random.below(self.names.len()),
            Choice::One => 0,
            Choice::Zipf(sums) => {
                let point = random.fraction();
                sums.partition_point(|sum| *sum < point)
            }
        };
        &self.names[index.min(last)]
    }
}

/// xorshift64: uniform enough to choose users, at no cost.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A sequence of its own for each `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds begin far apart, and none at 0, where xorshift stays.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from((u128::from(self.next()) * limit as u128) >> 64).unwrap_or(0)
    }

    /// From 0 to below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(users: &Users, draws: usize) -> Vec<usize> {
        let mut random = Random::new(1);
        let mut counts = vec![0; users.names.len()];
        for _ in 0..draws {
            let name = users.choose(&mut random);
            let number = name.to_str().expect("ASCII").trim_start_matches("load-");
            counts[number.parse::<usize>().expect("a number")] += 1;
        }
        counts
    }

    #[test]
    fn users_are_chosen_uniformly() {
        let mut random = Random::new(1);
        let mut chosen = [0; 10];
        for _ in 0..100_000 {
            chosen[random.below(10)] += 1;
        }
        assert!(chosen.iter().all(|times| (9_500..10_500).contains(times)), "{chosen:?}");
    }

    #[test]
    fn the_second_of_zipfs_users_orders_half_as_often_as_the_first() {
        let users = Users::known().expect("names are headers");
        let counts = counts(&users.zipf(), 200_000);
        let ratio = counts[1] as f64 / counts[0] as f64;
        assert!((0.45..0.55).contains(&ratio), "{ratio}");
        assert!(counts[0] > 200_000 / 15, "{}", counts[0]);
    }

    #[test]
    fn one_user_is_always_the_same() {
        let users = Users::known().expect("names are headers");
        assert_eq!(counts(&users.one(), 1_000)[0], 1_000);
    }
}
