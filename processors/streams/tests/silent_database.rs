//! A database behind a link that swallows packets: nobody is told that a connection is dead.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use fault_proxy::{Fault, FaultProxy, Way};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use streams::service::pool;
use streams::{ANSWER_LIMIT, StoreError, answered};

const CONNECTIONS: u32 = 3;

/// The server of `DATABASE_URL`, behind a link.
async fn linked() -> (FaultProxy, PgPool) {
    let url = std::env::var("DATABASE_URL").expect("store tests need a Postgres server: run `cargo kassa test`");
    let server: PgConnectOptions = url.parse().expect("a postgres:// URL");
    let address = (server.get_host(), server.get_port()).to_socket_addrs();
    let address = address.expect("an address").next().expect("an address");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let link = FaultProxy::start(any, address, 1).await.expect("a port");
    let (place, proxy) = (format!(":{}", server.get_port()), format!(":{}", link.address().port()));
    let pool = pool(&url.replacen(&place, &proxy, 1), CONNECTIONS, "links").expect("a URL");
    (link, pool)
}

async fn ask(pool: &PgPool) -> Result<i32, StoreError> {
    answered("could not ask", sqlx::query_scalar("select 1").fetch_one(pool)).await
}

/// So many questions at the same time that every connection of the pool is needed.
async fn ask_on_all(pool: &PgPool) -> Vec<Result<(), StoreError>> {
    let sleep = || async { answered("could not sleep", sqlx::query("select pg_sleep(0.2)").execute(pool)).await };
    let (a, b, c) = tokio::join!(sleep(), sleep(), sleep());
    [a, b, c].into_iter().map(|slept| slept.map(|_| ())).collect()
}

fn is_silent(result: &Result<i32, StoreError>) -> bool {
    matches!(result, Err(error @ StoreError::Transient { .. }) if error.chain().contains("no answer within"))
}

#[tokio::test]
async fn a_question_that_is_swallowed_fails_in_time_and_the_next_ones_are_answered() {
    for fault in [Fault::HalfOpen, Fault::Lose(Way::Up), Fault::Lose(Way::Down)] {
        let (link, pool) = linked().await;
        assert!(ask_on_all(&pool).await.iter().all(Result::is_ok));
        // Given back, which takes a question of its own.
        while pool.num_idle() < CONNECTIONS as usize {
            tokio::task::yield_now().await;
        }

        link.inject(fault);
        while link.hits() < u64::from(CONNECTIONS) {
            tokio::task::yield_now().await;
        }
        link.heal();
        let started = Instant::now();
        let first = ask(&pool).await;
        assert!(is_silent(&first), "{fault:?}: {first:?}");
        assert!(started.elapsed() < ANSWER_LIMIT * 2, "{fault:?}");
        // One was found dead; the others are as old, and are not tried. Each has given its place in the pool back.
        let until = Instant::now() + ANSWER_LIMIT * 2;
        while !ask_on_all(&pool).await.iter().all(Result::is_ok) {
            assert!(Instant::now() < until, "{fault:?}: the pool recovers");
        }
        assert!(pool.size() <= CONNECTIONS);
        pool.close().await;
    }
}

#[tokio::test]
async fn a_slow_question_that_nobody_waits_for_any_more_gives_its_connection_back() {
    let (_link, pool) = linked().await;
    for _ in 0..CONNECTIONS * 2 {
        let question = sqlx::query("select pg_sleep(60)").execute(&pool);
        assert!(
            tokio::time::timeout(Duration::from_millis(200), question)
                .await
                .is_err()
        );
    }
    let started = Instant::now();
    assert_eq!(ask(&pool).await.expect("an answer"), 1);
    assert!(started.elapsed() < ANSWER_LIMIT);
}
