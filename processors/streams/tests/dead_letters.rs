//! What an operator does to dead letters, on a real Postgres.

use chrono::{Duration, Utc};
use sqlx::PgPool;
use streams::dead_letters::DeadLettersCommand;
use streams::service::pool;
use streams::testing::TestDatabase;
use streams::{Backend as _, PgBackend, Retried};
use uuid::Uuid;

/// A held letter whose event is `days` old; its id, and the event's.
async fn letter(pool: &PgPool, days: i64) -> (i64, Uuid) {
    let then = Utc::now() - Duration::days(days);
    let millis = u64::try_from(then.timestamp_millis()).expect("after 1970");
    let event = uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid();
    let id = sqlx::query_scalar(
        "insert into streams.dead_letter
             (subscription_id, partition, \"offset\", event_id, stage, state, holds_key, cause, created_at)
         values (1, 0, $1, $2, 'held', 'held', true, 'a test', $3) returning id",
    )
    .bind(days)
    .bind(event)
    .bind(then)
    .fetch_one(pool)
    .await
    .expect("parked");
    (id, event)
}

async fn discard(pool: &PgPool, id: i64) {
    let discard = DeadLettersCommand::Discard {
        ids: vec![id],
        reason: "a test".to_owned(),
    };
    discard.run(pool).await.expect("discarded");
}

#[test]
fn a_discarded_event_never_comes_back_however_old_its_letter_is() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        // The last one is older than any partition, and than any topic.
        for (days, remembered) in [(0, 1), (8, 1), (12, 1), (40, 0)] {
            let (id, event) = letter(pool, days).await;
            discard(pool, id).await;
            let inbox = sqlx::query_scalar("select count(*) from streams.inbox where event_id = $1").bind(event);
            let count: i64 = inbox.fetch_one(pool).await.expect("the inbox can be read");
            assert_eq!(count, remembered, "{days} days");
        }
    });
}

#[test]
fn what_was_discarded_meanwhile_is_not_settled() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let backend = PgBackend::new(pool.clone());
        let (id, _) = letter(pool, 0).await;
        // The processor has it in hand when the operator gives it up.
        discard(pool, id).await;
        let mut tx = backend.begin().await.expect("a transaction");
        let settled = backend.settle(&mut tx, &[(id, Retried::Applied)]).await;
        assert!(settled.is_err(), "whatever was made of it is rolled back");
        drop(tx);
        let state = sqlx::query_scalar("select state from streams.dead_letter where id = $1").bind(id);
        let state: String = state.fetch_one(pool).await.expect("the letter is there");
        assert_eq!(state, "discarded");
    });
}

#[test]
fn services_read_what_is_committed_whatever_the_database_has_as_its_default() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let name: String = sqlx::query_scalar("select current_database()")
            .fetch_one(database.pool())
            .await
            .expect("a name");
        let set = format!("alter database {name} set default_transaction_isolation = 'serializable'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(set))
            .execute(database.pool())
            .await
            .expect("set");
        let server = std::env::var("DATABASE_URL").expect("set for store tests");
        let (server, _) = server.rsplit_once('/').expect("a URL with a database");
        let services = pool(&format!("{server}/{name}"), 1, "test").expect("a URL");
        let isolation: String = sqlx::query_scalar("show transaction_isolation")
            .fetch_one(&services)
            .await
            .expect("an answer");
        assert_eq!(isolation, "read committed");
        services.close().await;
    });
}
