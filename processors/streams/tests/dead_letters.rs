//! What an operator does to dead letters, on a real Postgres.

use std::time::Duration as StdDuration;

use chrono::{Duration, Utc};
use sqlx::PgPool;
use streams::dead_letters::DeadLettersCommand;
use streams::service::pool;
use streams::testing::TestDatabase;
use streams::{Backend as _, PgBackend, Retried, TopicPartition};
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
        conditions: Vec::new(),
        reason: "a test".to_owned(),
        dry_run: false,
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
fn a_copy_that_is_given_up_takes_nothing_from_the_letter_that_waits_before_it() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let (first, event) = letter(pool, 0).await;
        // Published twice, and so parked twice: the same event at another offset.
        let copy = sqlx::query_scalar(
            "insert into streams.dead_letter
                 (subscription_id, partition, \"offset\", event_id, stage, state, holds_key, cause)
             values (1, 0, 99, $1, 'held', 'held', true, 'a test') returning id",
        );
        let copy: i64 = copy.bind(event).fetch_one(pool).await.expect("parked");
        let remembered = async || -> i64 {
            let inbox = sqlx::query_scalar("select count(*) from streams.inbox where event_id = $1").bind(event);
            inbox.fetch_one(pool).await.expect("the inbox can be read")
        };
        discard(pool, copy).await;
        assert_eq!(remembered().await, 0_i64, "the first one is still to be applied");
        discard(pool, first).await;
        assert_eq!(remembered().await, 1_i64, "both are given up");
    });
}

#[test]
fn thousands_that_wait_behind_one_letter_are_looked_through_in_time() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        letters(pool, &[("hot", "pending", "rejected"), ("b", "held", "held")]).await;
        let behind = "insert into streams.dead_letter
                          (subscription_id, partition, \"offset\", record_key, stage, state, holds_key, cause)
                      select 1, 0, n, 'hot', 'held', 'held', true, 'a test' from generate_series(10, 20000) n";
        sqlx::query(behind).execute(pool).await.expect("parked");
        let (backend, mine) = (PgBackend::new(pool.clone()), [TopicPartition::new("numbers", 0)]);
        let due = async || -> Vec<i64> {
            let due = backend
                .due_letters("tally", &mine, 100)
                .await
                .expect("it answers in time");
            due.into_iter().map(|letter| letter.id).collect()
        };
        // Whatever the planner knows: it would compare each with each, once it knows how many there are.
        assert_eq!(due().await, [2]);
        sqlx::query("analyze streams.dead_letter")
            .execute(pool)
            .await
            .expect("analyzed");
        assert_eq!(due().await, [2]);
        set_state(pool, 1, "pending", "replaying").await;
        assert_eq!(due().await, [1, 2]);
        set_state(pool, 1, "replaying", "replayed").await;
        assert_eq!(due().await, [2, 3], "the next of the key");
    });
}

/// Letters of one topic, as a table of key, state and code; their ids are 1, 2, 3, …
async fn letters(pool: &PgPool, letters: &[(&str, &str, &str)]) {
    sqlx::query(
        "insert into streams.subscription (consumer_group, topic) values ('tally', 'numbers'), ('tally', 'sums')",
    )
    .execute(pool)
    .await
    .expect("subscribed");
    for (offset, (key, state, code)) in (0_i64..).zip(letters) {
        let parked = sqlx::query(
            "insert into streams.dead_letter
                 (subscription_id, partition, \"offset\", record_key, stage, state, holds_key, cause, reason_code)
             values (1, 0, $1, $2, 'process', $3, true, 'a test', $4)",
        );
        let parked = parked.bind(offset).bind(key.as_bytes()).bind(state).bind(code);
        parked.execute(pool).await.expect("parked");
    }
}

async fn states(pool: &PgPool) -> Vec<String> {
    let states = sqlx::query_scalar("select state from streams.dead_letter order by id");
    states.fetch_all(pool).await.expect("the letters can be read")
}

/// Parses a command line as the service does, and runs it.
async fn run(pool: &PgPool, line: &str) -> Result<(), String> {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(subcommand)]
        command: DeadLettersCommand,
    }
    let args = ["dead-letters"].into_iter().chain(line.split(' '));
    let cli: Cli = clap::Parser::try_parse_from(args).map_err(|error| error.to_string())?;
    cli.command.run(pool).await.map_err(|error| format!("{error:#}"))
}

/// Settles whatever is asked for, as the partitions' owner does, and tells the ids in the order of their settling.
async fn settle_what_is_asked_for(pool: PgPool) -> Vec<i64> {
    let mut settled = Vec::new();
    loop {
        let asked: Vec<i64> = sqlx::query_scalar(
            "with asked as (select id from streams.dead_letter where state = 'replaying' order by id),
                  done as (update streams.dead_letter set state = 'replayed' where id in (select id from asked))
             select id from asked",
        )
        .fetch_all(&pool)
        .await
        .expect("settled");
        settled.extend(asked);
        let open = "select count(*) from streams.dead_letter where reason_code = 'rejected' and state <> 'replayed'";
        let open: i64 = sqlx::query_scalar(open).fetch_one(&pool).await.expect("counted");
        if open == 0 {
            return settled;
        }
        tokio::time::sleep(StdDuration::from_millis(5)).await;
    }
}

#[test]
fn a_discard_by_condition_takes_what_meets_it_and_keeps_the_reason() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let of = [
            ("a", "pending", "rejected"),
            ("a", "held", "held"),
            ("b", "pending", "wrong_key"),
            ("c", "pending", "rejected"),
            ("c", "replayed", "rejected"),
        ];
        letters(pool, &of).await;
        run(pool, "discard --where reason=rejected,key=c --reason double --dry-run")
            .await
            .expect("counted");
        assert_eq!(
            states(pool).await,
            of.map(|(_, state, _)| state),
            "a dry run changes nothing"
        );
        run(pool, "discard --where key=a --where topic=numbers --reason double")
            .await
            .expect("discarded");
        run(pool, "discard --where topic=sums --reason none-of-these")
            .await
            .expect("nothing to do");
        assert_eq!(
            states(pool).await,
            ["discarded", "discarded", "pending", "pending", "replayed"]
        );
        let reasons: Vec<Option<String>> = sqlx::query_scalar("select reason from streams.dead_letter order by id")
            .fetch_all(pool)
            .await
            .expect("the letters can be read");
        let double = Some("double".to_owned());
        assert_eq!(reasons, [double.clone(), double, None, None, None]);
    });
}

#[test]
fn many_are_discarded_newest_first_so_that_none_of_them_is_applied() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let mut of = vec![("a", "held", "held"); 600];
        of[0] = ("a", "pending", "rejected");
        letters(pool, &of).await;
        // Notes in which transaction each was given up.
        let notes = "
            create table noted (id bigint, xid xid8 default pg_current_xact_id());
            create function note() returns trigger language plpgsql as
                $$ begin insert into noted (id) values (new.id); return new; end $$;
            create trigger note after update on streams.dead_letter for each row execute function note()";
        sqlx::raw_sql(notes).execute(pool).await.expect("a trigger");
        run(pool, "discard --where key=a --reason double")
            .await
            .expect("discarded");
        let ranges: Vec<(i64, i64)> = sqlx::query_as("select min(id), max(id) from noted group by xid order by xid")
            .fetch_all(pool)
            .await
            .expect("the notes can be read");
        assert_eq!(ranges, [(101, 600), (1, 100)], "what the others wait behind goes last");
    });
}

#[test]
fn a_replay_by_condition_asks_for_many_in_batches_oldest_first() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let mut of = vec![("a", "pending", "rejected"); 450];
        of.push(("b", "pending", "wrong_key"));
        of.push(("b", "held", "held"));
        letters(pool, &of).await;
        // One was asked for by an operator who then stopped the command: it is settled all the same.
        sqlx::query("update streams.dead_letter set state = 'replaying' where id = 7")
            .execute(pool)
            .await
            .expect("asked");
        let owner = tokio::spawn(settle_what_is_asked_for(pool.clone()));
        run(pool, "replay --where reason=rejected").await.expect("replayed");
        let settled = owner.await.expect("the owner did not panic");
        assert_eq!(settled.len(), 450);
        let batch_of = |id: i64| if id == 7 { 0 } else { (id - 2) / 200 };
        assert!(settled.is_sorted_by_key(|id| batch_of(*id)), "{settled:?}");
        assert_eq!(states(pool).await[450..], ["pending", "held"], "others wait as before");
        // The same command again finds nothing to do.
        run(pool, "replay --where reason=rejected")
            .await
            .expect("nothing to do");
    });
}

#[test]
fn a_command_that_cannot_be_meant_says_what_to_do() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        letters(pool, &[("a", "pending", "rejected"), ("a", "held", "held")]).await;
        for (line, says) in [
            ("discard 1", "--reason"),
            ("discard --reason double", "say in one way which"),
            ("discard 1 --where key=a --reason double", "say in one way which"),
            ("replay", "say in one way which"),
            ("replay 1 --where key=a", "say in one way which"),
            ("replay --all --where key=a", "say in one way which"),
            (
                "replay --where colour=red",
                "there is no field `colour`; there are reason, topic and key",
            ),
            (
                "list --where reason=bad",
                "there is no reason `bad`; there are no_value, too_large",
            ),
            ("replay 1 2", "not pending: [2]; nothing was asked for"),
            ("discard 3 --reason double", "not discarded: [3]"),
            ("show 9", "`dead-letters list --all` shows all"),
        ] {
            let refusal = run(pool, line).await.expect_err(line);
            assert!(refusal.contains(says), "{line}: {refusal}");
        }
        assert_eq!(states(pool).await, ["pending", "held"]);
    });
}

#[test]
fn a_processor_that_does_not_come_to_it_is_told_of_and_asked_all_the_same() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        letters(pool, &[("a", "pending", "rejected")]).await;
        let refusal = run(pool, "replay 1 --wait-seconds 0")
            .await
            .expect_err("nobody is there");
        assert!(refusal.contains("it will when it runs"), "{refusal}");
        assert_eq!(states(pool).await, ["replaying"]);
    });
}

#[test]
fn letters_of_a_version_without_codes_get_theirs() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let migration = include_str!("../migrations/0007_dead_letter_reasons.sql");
        let (_, update) = migration.split_once("update ").expect("an update");
        let (update, _) = update.split_once(';').expect("its end");
        let of = [
            ("held", "an earlier record of this key waits for an operator", "held"),
            ("process", "-5 is negative", "rejected"),
            ("store", "the processor tally panicked: unlucky", "panicked"),
            ("store", "could not save the sums: too large", "refused"),
            ("deserialize", "the record has no value", "no_value"),
            ("deserialize", "the first byte is 90, not 0 as in Confluent's framing", "undecodable"),
            ("deserialize", "unknown schema id 7: there is no schema id 7", "unknown_schema"),
            ("deserialize", "unknown schema id 7: schema id 7 is not one of sums-value", "incompatible_schema"),
            ("deserialize", "the record's key is not the event's key \"a\"", "wrong_key"),
            ("deserialize", "the time in the event id 0 is more than 13 days from now", "unusable_id"),
        ];
        for (offset, (stage, cause, _)) in (0_i64..).zip(of) {
            let parked = sqlx::query(
                "insert into streams.dead_letter (subscription_id, partition, \"offset\", stage, state, holds_key, cause)
                 values (1, 0, $1, $2, 'pending', false, $3)",
            );
            let parked = parked.bind(offset).bind(stage).bind(cause);
            parked.execute(pool).await.expect("parked as the version before does");
        }
        let codes = "select reason_code from streams.dead_letter order by id";
        let before: Vec<String> = sqlx::query_scalar(codes).fetch_all(pool).await.expect("codes");
        assert!(before.iter().all(|code| code == "unknown"), "{before:?}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("update {update}")))
            .execute(pool)
            .await
            .expect("updated");
        let after: Vec<String> = sqlx::query_scalar(codes).fetch_all(pool).await.expect("codes");
        assert_eq!(after, of.map(|(_, _, code)| code));
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

/// A letter in a state that an operator may meet, with everything that can be shown.
async fn shown_letter(pool: &PgPool, state: &str) -> i64 {
    let subscription = "insert into streams.subscription (id, consumer_group, topic)
                        overriding system value values (1, 'tally', 'numbers') on conflict do nothing";
    sqlx::query(subscription).execute(pool).await.expect("subscribed");
    let (id, _) = letter(pool, 0).await;
    sqlx::query(
        "update streams.dead_letter
            set state = $2, record_key = 'seven', record_value = '\\x0001ff', headers = '[[\"a\", \"AP8=\"], [\"b\", null]]'
          where id = $1",
    )
    .bind(id)
    .bind(state)
    .execute(pool)
    .await
    .expect("updated");
    id
}

async fn set_state(pool: &PgPool, id: i64, from: &str, to: &str) {
    let update = "update streams.dead_letter set state = $3, cause = 'once more' where id = $1 and state = $2";
    loop {
        let done = sqlx::query(update).bind(id).bind(from).bind(to).execute(pool).await;
        if done.expect("an answer").rows_affected() == 1 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn replay(ids: &[i64], wait_seconds: u64) -> DeadLettersCommand {
    DeadLettersCommand::Replay {
        all: ids.is_empty(),
        ids: ids.to_vec(),
        conditions: Vec::new(),
        dry_run: false,
        wait_seconds,
    }
}

async fn refusal(command: DeadLettersCommand, pool: &PgPool) -> String {
    format!("{:#}", command.run(pool).await.expect_err("refused"))
}

#[test]
fn letters_are_listed_and_shown_and_one_that_is_not_there_is_missed() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let list = |all| DeadLettersCommand::List {
            all,
            conditions: Vec::new(),
            limit: 10,
        };
        list(false).run(pool).await.expect("none yet");
        let id = shown_letter(pool, "pending").await;
        list(true).run(pool).await.expect("listed");
        DeadLettersCommand::Show { id }.run(pool).await.expect("shown");
        discard(pool, id).await;
        DeadLettersCommand::Show { id }
            .run(pool)
            .await
            .expect("with its reason");
        let said = refusal(DeadLettersCommand::Show { id: id + 1 }, pool).await;
        assert!(said.contains("there is no dead letter"), "{said}");
    });
}

#[test]
fn a_replay_says_how_it_ended() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let id = shown_letter(pool, "pending").await;
        // Nobody is there to try it.
        let said = refusal(replay(&[id], 0), pool).await;
        assert!(said.contains("has not come to"), "{said}");
        // The processor tries it, and it fails again.
        set_state(pool, id, "replaying", "pending").await;
        let (said, ()) = futures_util::join!(
            refusal(replay(&[id], 60), pool),
            set_state(pool, id, "replaying", "pending")
        );
        assert!(said.contains("failed again") && said.contains("once more"), "{said}");
        // Now it goes through.
        let (done, ()) = futures_util::join!(replay(&[], 60).run(pool), set_state(pool, id, "replaying", "replayed"));
        done.expect("replayed");
    });
}

#[test]
fn only_what_is_pending_is_replayed_and_only_what_is_open_is_discarded_for_a_reason() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let held = shown_letter(pool, "held").await;
        let said = refusal(replay(&[held], 0), pool).await;
        assert!(said.contains("not pending"), "{said}");
        let unexplained = DeadLettersCommand::Discard {
            ids: vec![held],
            conditions: Vec::new(),
            dry_run: false,
            reason: " ".to_owned(),
        };
        let said = refusal(unexplained, pool).await;
        assert!(said.contains("say why"), "{said}");
        discard(pool, held).await;
        let again = DeadLettersCommand::Discard {
            ids: vec![held],
            conditions: Vec::new(),
            dry_run: false,
            reason: "a test".to_owned(),
        };
        let said = refusal(again, pool).await;
        assert!(said.contains("not discarded"), "{said}");
    });
}
