//! Top-ups and charges, mixed, against books that fit one page: any requests, keys, repeats and batches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use payments::{MemoryCharging, MemoryTopUps, TopUp, ToppedUp, topology};
use proptest::prelude::*;
use schemas::{Amount, Balance, Codec, PaymentOutcome, PaymentRequest, PaymentStatus};
use streams::request_keys::{Keyed, RequestKey};
use streams::testing::{Delivery, TopologyTestDriver};
use streams::{CommitBatch as _, MemoryBackend};
use uuid::Uuid;

use crate::support::request;

/// What money is, in cents, one step after the other.
#[derive(Default)]
struct Books {
    accounts: HashMap<usize, i64>,
    /// By line: the balance after it.
    lines: HashMap<usize, i64>,
    /// By key: the body that came with it, and what was answered.
    keys: HashMap<(usize, u8), (i64, Answer)>,
    decided: HashMap<usize, bool>,
}

/// The balance after a top-up, or why there was none.
type Answer = Result<i64, &'static str>;

const LIMIT: i64 = 999_999_999_999_999;

impl Books {
    fn top_up(&mut self, line: usize, user: usize, cents: i64, key: Option<u8>) -> Answer {
        if let Some((body, answer)) = key.and_then(|key| self.keys.get(&(user, key))) {
            return if *body == cents { *answer } else { Err("key reused") };
        }
        let answer = match (self.accounts.get_mut(&user), self.lines.get(&line)) {
            (None, _) => Err("no account"),
            (Some(_), Some(balance)) => Ok(*balance),
            (Some(balance), None) if *balance + cents > LIMIT => Err("limit"),
            (Some(balance), None) => {
                *balance += cents;
                self.lines.insert(line, *balance);
                Ok(*balance)
            }
        };
        if let Some(key) = key {
            self.keys.insert((user, key), (cents, answer));
        }
        answer
    }

    fn charge(&mut self, order: usize, user: usize, cents: i64) -> bool {
        if let Some(paid) = self.decided.get(&order) {
            return *paid;
        }
        let balance = self.accounts.get_mut(&user).filter(|balance| **balance >= cents);
        let paid = balance.is_some();
        if let Some(balance) = balance {
            *balance -= cents;
        }
        self.decided.insert(order, paid);
        paid
    }
}

const USERS: [&str; 3] = ["alice", "bob", "nobody"];

/// A batch of one kind. `again` names an earlier request of the kind, which comes once more.
#[derive(Clone, Debug)]
enum Step {
    TopUp(Vec<Wish>),
    Charge(Vec<Wish>),
}

#[derive(Clone, Debug)]
struct Wish {
    user: usize,
    cents: i64,
    key: Option<u8>,
    again: Option<prop::sample::Index>,
}

fn step() -> impl Strategy<Value = Step> {
    let cents = prop_oneof![8 => 1..=5_000_i64, 1 => LIMIT - 5_000..=LIMIT];
    let again = proptest::option::weighted(0.3, any::<prop::sample::Index>());
    let wish =
        (0..USERS.len(), cents, proptest::option::of(0..4_u8), again).prop_map(|(user, cents, key, again)| Wish {
            user,
            cents,
            key,
            again,
        });
    let wishes = proptest::collection::vec(wish, 1..8);
    prop_oneof![wishes.clone().prop_map(Step::TopUp), wishes.prop_map(Step::Charge)]
}

/// Fills in which request each wish is: a new one, or one that was there before.
fn numbered(wishes: &[Wish], asked: &mut Vec<Wish>) -> Vec<(usize, Wish)> {
    let mut all = Vec::new();
    for wish in wishes {
        let number = match wish.again.filter(|_| !asked.is_empty()) {
            Some(again) => again.index(asked.len()),
            None => {
                asked.push(wish.clone());
                asked.len() - 1
            }
        };
        all.push((number, asked[number].clone()));
    }
    all
}

fn cents_of(balance: Balance) -> i64 {
    balance.to_string().replace('.', "").parse().expect("digits")
}

fn told(answer: Keyed<ToppedUp>) -> Answer {
    match answer {
        Keyed::First(ToppedUp::Done(view)) | Keyed::Replayed(ToppedUp::Done(view)) => Ok(cents_of(view.balance)),
        Keyed::First(ToppedUp::AccountNotFound) | Keyed::Replayed(ToppedUp::AccountNotFound) => Err("no account"),
        Keyed::First(ToppedUp::BalanceLimitExceeded) | Keyed::Replayed(ToppedUp::BalanceLimitExceeded) => Err("limit"),
        Keyed::KeyReused => Err("key reused"),
        Keyed::InProgress => Err("in progress"),
    }
}

fn top_up(lines: &[Uuid], (line, wish): &(usize, Wish)) -> TopUp {
    let user = USERS[wish.user].to_owned();
    TopUp {
        line_id: lines[*line],
        key: wish.key.map(|key| RequestKey {
            scope: user.clone(),
            route: "POST /accounts/topup",
            key: key.to_string(),
            fingerprint: wish.cents.to_be_bytes().to_vec(),
        }),
        user_id: user,
        amount: Amount::from_cents(wish.cents).expect("in range"),
    }
}

fn charge(orders: &[Uuid], (order, wish): &(usize, Wish)) -> PaymentRequest {
    let text = Amount::from_cents(wish.cents).expect("in range").to_string();
    request(orders[*order], USERS[wish.user], &text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_is_added_and_taken_the_balances_are_the_books(
        steps in proptest::collection::vec(step(), 1..12), batch in 1..10_usize, twice: bool,
    ) {
        let store = MemoryCharging::default();
        let requests = Arc::new(Codec::<PaymentRequest>::offline(1));
        let statuses = Arc::new(Codec::<PaymentStatus>::offline(2));
        let backend = MemoryBackend::default();
        let topology = topology(store.clone(), requests.clone(), statuses.clone());
        let mut driver = TopologyTestDriver::on(backend.clone(), topology);
        let top_ups = MemoryTopUps::new(backend, store.clone());
        let mut books = Books::default();
        for (user, name) in USERS.iter().enumerate().take(2) {
            store.open(name, Balance::ZERO);
            books.accounts.insert(user, 0);
        }
        let ids: Vec<Uuid> = (0..100).map(|_| Uuid::now_v7()).collect();
        let (mut lines, mut orders) = (Vec::new(), Vec::new());
        for step in &steps {
            match step {
                Step::TopUp(wishes) => {
                    let wishes = numbered(wishes, &mut lines);
                    // A batch has no request twice; only a second commit of it has.
                    for part in wishes.chunks(batch) {
                        let mut seen = HashSet::new();
                        let part: Vec<_> = part.iter().filter(|(line, _)| seen.insert(*line)).collect();
                        let requests: Vec<TopUp> = part.iter().map(|wish| top_up(&ids, wish)).collect();
                        let answers = driver.block_on(top_ups.commit(&requests)).expect("in memory");
                        let expected: Vec<Answer> = part
                            .iter()
                            .map(|(line, wish)| books.top_up(*line, wish.user, wish.cents, wish.key))
                            .collect();
                        prop_assert_eq!(answers.into_iter().map(told).collect::<Vec<_>>(), expected);
                    }
                }
                Step::Charge(wishes) => {
                    let wishes = numbered(wishes, &mut orders);
                    let events: Vec<PaymentRequest> = wishes.iter().map(|wish| charge(&ids, wish)).collect();
                    driver.pipe_inputs(PaymentRequest::TOPIC, &events, &*requests, Delivery { batch, twice });
                    let expected: Vec<(Uuid, bool)> = wishes
                        .iter()
                        .map(|(order, wish)| (ids[*order], books.charge(*order, wish.user, wish.cents)))
                        .collect();
                    let answers: Vec<PaymentStatus> = driver.read_output(PaymentStatus::TOPIC, &*statuses);
                    let answers: Vec<_> = answers
                        .iter()
                        .map(|status| (status.order_id, status.status == PaymentOutcome::Success))
                        .collect();
                    prop_assert_eq!(answers, expected);
                }
            }
        }
        for (user, cents) in &books.accounts {
            let (balance, version) = store.account(USERS[*user]).expect("it is open");
            prop_assert_eq!(cents_of(balance), *cents);
            let added = store.top_ups().iter().filter(|line| line.1 == USERS[*user]).count();
            let taken = store.ledger().iter().filter(|line| line.user_id == USERS[*user]).count();
            prop_assert_eq!(usize::try_from(version), Ok(1 + added + taken), "every change is a line, and no other");
        }
    }
}
