//! Charging against a reference that fits one page: any requests, any repeats, any batches, the same money.

use std::collections::{BTreeMap, HashMap};

use crate::support::{amount, balance, in_memory, request};
use proptest::prelude::*;
use schemas::PaymentRequest;
use streams::testing::Delivery;
use uuid::Uuid;

/// What charging means, in cents, one request after the other.
#[derive(Default)]
struct Reference {
    balances: BTreeMap<String, i64>,
    debits: HashMap<String, i64>,
    decided: HashMap<Uuid, Result<(), &'static str>>,
}

impl Reference {
    fn charge(&mut self, order: Uuid, user: &str, cents: i64) -> Result<(), &'static str> {
        if let Some(decided) = self.decided.get(&order) {
            return *decided;
        }
        let outcome = match self.balances.get_mut(user) {
            None => Err("account_not_found"),
            Some(balance) if *balance < cents => Err("insufficient_funds"),
            Some(balance) => {
                *balance -= cents;
                *self.debits.entry(user.to_owned()).or_default() += 1;
                Ok(())
            }
        };
        self.decided.insert(order, outcome);
        outcome
    }
}

/// An order of one of four users, the last of whom has no account.
#[derive(Clone, Debug)]
struct Wish {
    user: usize,
    cents: i64,
    /// The order is asked for again later, under another event id.
    again: bool,
}

const USERS: [&str; 4] = ["alice", "bob", "carol", "nobody"];
const START_CENTS: i64 = 10_000;

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let wish = (0..USERS.len(), 1..=4_000_i64, any::<bool>());
    proptest::collection::vec(wish.prop_map(|(user, cents, again)| Wish { user, cents, again }), 1..60)
}

fn text(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn events(wishes: &[Wish]) -> Vec<(PaymentRequest, i64)> {
    let ids: Vec<Uuid> = wishes.iter().map(|_| Uuid::now_v7()).collect();
    let event = |(order, wish): (&Uuid, &Wish)| (request(*order, USERS[wish.user], &text(wish.cents)), wish.cents);
    let first = ids.iter().zip(wishes).map(event);
    let repeats = ids.iter().zip(wishes).filter(|(_, wish)| wish.again).map(event);
    first.chain(repeats).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_asked_for_however_it_comes_the_money_is_the_references(
        wishes in wishes(), batch in 1..40_usize, twice in any::<bool>(), replay in any::<bool>(),
    ) {
        let mut payments = in_memory();
        let mut reference = Reference::default();
        for user in &USERS[..3] {
            payments.open(user, &text(START_CENTS));
            reference.balances.insert((*user).to_owned(), START_CENTS);
        }
        let events = events(&wishes);
        let requests: Vec<PaymentRequest> = events.iter().map(|(request, _)| request.clone()).collect();

        payments.ask(&requests, Delivery { batch, twice });
        if replay {
            payments.driver.replay_topics();
        }

        let expected: Vec<_> = events
            .iter()
            .map(|(request, cents)| {
                let outcome = reference.charge(request.order_id, &request.user_id, *cents);
                (request.order_id, outcome.map_err(str::to_owned))
            })
            .collect();
        prop_assert_eq!(payments.answers(), expected);
        let debits = payments.debits();
        for (user, cents) in &reference.balances {
            let count = reference.debits.get(user).copied().unwrap_or(0);
            prop_assert_eq!(payments.account(user), Some((balance(&text(*cents)), 1 + count)));
            let mut left = START_CENTS;
            for (version, (_, at, taken, after)) in (2..).zip(debits.iter().filter(|line| line.0 == *user)) {
                left -= taken.cents();
                prop_assert_eq!((*at, *after), (version, balance(&text(left))));
            }
            prop_assert_eq!(left, *cents, "the debits of {} add up", user);
        }
        prop_assert_eq!(debits.len(), reference.decided.values().filter(|outcome| outcome.is_ok()).count());
        prop_assert!(payments.driver.dead_letters().is_empty());
    }
}

#[test]
fn cents_are_written_as_amounts() {
    assert_eq!(amount(&text(1)), amount("0.01"));
    assert_eq!(amount(&text(4_000)), amount("40"));
}
