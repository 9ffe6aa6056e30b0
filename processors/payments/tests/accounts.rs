//! Accounts on a real Postgres: opening, pages, and what the service's role may not do.

use futures_util::future::join_all;
use payments::accounts::list_transactions;
use payments::{OpenAccount, OpenAccounts, TopUp, TopUpAccounts};
use schemas::Balance;
use sqlx::PgPool;
use streams::CommitBatch as _;
use streams::testing::TestDatabase;
use uuid::Uuid;

fn database() -> TestDatabase {
    TestDatabase::create(&[&payments::MIGRATOR])
}

fn opening(user: &str) -> OpenAccount {
    OpenAccount {
        user_id: user.to_owned(),
        account_id: Uuid::now_v7(),
    }
}

fn top_up(user: &str, text: &str) -> TopUp {
    TopUp {
        line_id: Uuid::now_v7(),
        user_id: user.to_owned(),
        amount: text.parse().expect("an amount"),
        key: None,
    }
}

async fn open(pool: &PgPool, users: &[&str]) {
    let batch: Vec<OpenAccount> = users.iter().map(|user| opening(user)).collect();
    OpenAccounts::new(pool.clone()).commit(&batch).await.expect("opened");
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
fn transactions_come_in_pages_newest_first() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        open(pool, &["alice"]).await;
        let batch: Vec<TopUp> = (1..=5).map(|number| top_up("alice", &format!("{number}.00"))).collect();
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
            .commit(&[top_up("alice", "5.00")])
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
