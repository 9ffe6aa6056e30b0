//! Accounts on a real Postgres: opening, topping up, and what the service's role may not do.

use std::sync::Arc;

use futures_util::future::join_all;
use payments::accounts::{find_account, list_transactions};
use payments::{OpenAccount, OpenAccounts, TopUp, TopUpAccounts, ToppedUp};
use schemas::{Amount, Balance};
use sqlx::PgPool;
use streams::CommitBatch as _;
use streams::request_keys::{Keyed, RequestKey};
use streams::testing::TestDatabase;
use uuid::Uuid;

fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

fn balance(text: &str) -> Balance {
    text.parse().expect("a balance")
}

fn database() -> TestDatabase {
    TestDatabase::create(&[&payments::MIGRATOR])
}

fn opening(user: &str) -> OpenAccount {
    OpenAccount {
        user_id: user.to_owned(),
        account_id: Uuid::now_v7(),
    }
}

fn top_up(user: &str, text: &str, key: Option<&str>) -> TopUp {
    let key = key.map(|key| RequestKey {
        scope: user.to_owned(),
        route: "POST /accounts/topup",
        key: key.to_owned(),
        fingerprint: text.as_bytes().to_vec(),
    });
    TopUp {
        line_id: Uuid::now_v7(),
        user_id: user.to_owned(),
        amount: amount(text),
        key,
    }
}

async fn open(pool: &PgPool, users: &[&str]) {
    let batch: Vec<OpenAccount> = users.iter().map(|user| opening(user)).collect();
    OpenAccounts::new(pool.clone()).commit(&batch).await.expect("opened");
}

/// The balances after each top-up, or what was answered instead.
fn balances(answers: Vec<Keyed<ToppedUp>>) -> Vec<Result<Balance, ToppedUp>> {
    let balance = |answer| match answer {
        Keyed::First(ToppedUp::Done(view)) | Keyed::Replayed(ToppedUp::Done(view)) => Ok(view.balance),
        Keyed::First(other) | Keyed::Replayed(other) => Err(other),
        other @ (Keyed::KeyReused | Keyed::InProgress) => panic!("{other:?}"),
    };
    answers.into_iter().map(balance).collect()
}

#[test]
fn of_many_openings_at_once_exactly_one_is_new() {
    let database = database();
    database.block_on(async {
        let opened = join_all((0..8).map(|_| {
            let accounts = OpenAccounts::new(database.pool().clone());
            async move {
                accounts
                    .commit(&[opening("alice"), opening("alice")])
                    .await
                    .expect("opened")
            }
        }))
        .await
        .concat();
        assert_eq!(opened.iter().filter(|one| one.is_new).count(), 1);
        assert!(opened.iter().all(|one| one.account.id == opened[0].account.id));
        assert_eq!(
            (opened[0].account.balance, opened[0].account.version),
            (Balance::ZERO, 0)
        );
    });
}

#[test]
fn an_opening_that_is_committed_twice_is_new_both_times() {
    let database = database();
    database.block_on(async {
        let accounts = OpenAccounts::new(database.pool().clone());
        let batch = [opening("alice")];
        let first = accounts.commit(&batch).await.expect("opened");
        // The first COMMIT took effect, and its answer was lost on the way.
        assert_eq!(accounts.commit(&batch).await.expect("opened"), first);
        assert!(first[0].is_new);
    });
}

#[test]
fn top_ups_of_a_batch_are_decided_in_order() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        open(pool, &["alice", "bob"]).await;
        let batch = [
            top_up("alice", "9999999999999.00", None),
            top_up("bob", "1.00", None),
            top_up("alice", "1.00", None),
            top_up("alice", "0.99", None),
            top_up("nobody", "1.00", None),
            top_up("bob", "2.00", None),
        ];
        let answers = TopUpAccounts::new(pool.clone())
            .commit(&batch)
            .await
            .expect("committed");
        let expected = [
            Ok(balance("9999999999999.00")),
            Ok(balance("1.00")),
            Err(ToppedUp::BalanceLimitExceeded),
            Ok(balance("9999999999999.99")),
            Err(ToppedUp::AccountNotFound),
            Ok(balance("3.00")),
        ];
        assert_eq!(balances(answers), expected);
        let alice = find_account(pool, "alice").await.expect("read").expect("open");
        assert_eq!((alice.balance, alice.version), (balance("9999999999999.99"), 2));
    });
}

#[test]
fn a_top_up_that_is_committed_twice_adds_once() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        open(pool, &["alice"]).await;
        let accounts = TopUpAccounts::new(pool.clone());
        let batch = [top_up("alice", "5.00", None), top_up("alice", "5.00", Some("k"))];
        let expected = [Ok(balance("5.00")), Ok(balance("10.00"))];
        for _ in 0..3 {
            assert_eq!(balances(accounts.commit(&batch).await.expect("committed")), expected);
        }
        let lines = list_transactions(pool, "alice", None, 10)
            .await
            .expect("read")
            .expect("open");
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].balance_after, balance("10.00"));
    });
}

#[test]
fn a_key_remembers_that_there_was_no_account() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let accounts = TopUpAccounts::new(pool.clone());
        let first = accounts
            .commit(&[top_up("late", "5.00", Some("k"))])
            .await
            .expect("committed");
        assert_eq!(balances(first), [Err(ToppedUp::AccountNotFound)]);
        open(pool, &["late"]).await;
        let again = accounts
            .commit(&[top_up("late", "5.00", Some("k"))])
            .await
            .expect("committed");
        assert_eq!(again, [Keyed::Replayed(ToppedUp::AccountNotFound)]);
        let other = accounts
            .commit(&[top_up("late", "5.00", Some("k2"))])
            .await
            .expect("committed");
        assert_eq!(balances(other), [Ok(balance("5.00"))]);
    });
}

#[test]
fn batches_at_the_same_time_lose_no_top_up() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        open(pool, &["alice", "bob", "carol"]).await;
        let accounts = Arc::new(TopUpAccounts::new(pool.clone()));
        let work = (0..6).map(|number| {
            let accounts = accounts.clone();
            async move {
                // Each in another sequence: whoever locked in the sequence of the requests would wait in a ring.
                let mut users = ["alice", "bob", "carol"];
                users.rotate_left(number % 3);
                for _ in 0..20 {
                    let batch = users.map(|user| top_up(user, "0.10", None));
                    accounts.commit(&batch).await.expect("committed");
                }
            }
        });
        join_all(work).await;
        for user in ["alice", "bob", "carol"] {
            let account = find_account(pool, user).await.expect("read").expect("open");
            assert_eq!((account.balance, account.version), (balance("12.00"), 120), "{user}");
        }
    });
}

#[test]
fn transactions_come_in_pages_newest_first() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        open(pool, &["alice"]).await;
        let batch: Vec<TopUp> = (1..=5)
            .map(|number| top_up("alice", &format!("{number}.00"), None))
            .collect();
        TopUpAccounts::new(pool.clone())
            .commit(&batch)
            .await
            .expect("committed");
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = list_transactions(pool, "alice", before, 2)
                .await
                .expect("read")
                .expect("open");
            let Some(last) = page.last() else { break };
            before = Some(last.version);
            seen.extend(page.into_iter().map(|line| line.amount.to_string()));
        }
        assert_eq!(seen, ["5.00", "4.00", "3.00", "2.00", "1.00"]);
        assert_eq!(list_transactions(pool, "nobody", None, 2).await.expect("read"), None);
    });
}

#[test]
fn the_services_role_cannot_change_what_is_written() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        open(pool, &["alice"]).await;
        TopUpAccounts::new(pool.clone())
            .commit(&[top_up("alice", "5.00", None)])
            .await
            .expect("committed");
        for statement in [
            "update ledger set amount = 6",
            "delete from ledger",
            "truncate ledger",
            "update payment_attempts set status = 'FAILED'",
            "delete from payment_attempts",
            "delete from accounts",
            "update streams.inbox set \"offset\" = 0",
            "delete from streams.outbox",
            "drop table ledger",
        ] {
            let mut tx = pool.begin().await.expect("a transaction");
            sqlx::query("set local role payments_app")
                .execute(&mut *tx)
                .await
                .expect("the role is there");
            let refused = sqlx::query(statement).execute(&mut *tx).await.expect_err(statement);
            let code = refused
                .as_database_error()
                .and_then(|error| error.code().map(|code| code.to_string()));
            assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
        }
    });
}

#[test]
fn the_database_itself_refuses_a_negative_balance() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        open(pool, &["alice"]).await;
        let refused = sqlx::query("update accounts set balance = -0.01").execute(pool).await;
        let refused = refused.expect_err("below zero");
        let constraint = refused
            .as_database_error()
            .and_then(|error| error.constraint().map(str::to_owned));
        assert_eq!(constraint.as_deref(), Some("accounts_balance_check"));
    });
}
