//! P11: GET of an order and of the first page, beside pgbench with the same SQL.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hyper::Uri;
use hyper::header::HeaderValue;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Bar, Bench, Row};
use crate::generator::connect;
use crate::http::Connection;
use crate::users::Random;
use crate::{pgbench, say};

const NAME: &str = "reads";
const CONNECTIONS: u16 = 32;
/// Users and orders that are read, at random.
const READ: i64 = 1_000;
const ORDER_SQL: &str = "select id, user_id, amount, description, status, status_reason, created_at, updated_at \
                         from orders where id = :id::uuid and user_id = :user;\n";
const PAGE_SQL: &str = "select id, user_id, amount, description, status, status_reason, created_at, updated_at \
                        from orders where user_id = :user order by id desc limit 51;\n";

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    // Those with the fullest pages, and an order of each. pgbench asks for the first of them again and again, which is
    // the best that can happen to it; the platform is asked for all, so that questions do not shrink to one row.
    let newest = sqlx::query_as::<_, (String, String)>(
        "select user_id, max(id::text) from orders group by user_id order by count(*) desc limit $1",
    );
    let newest = newest.bind(READ).fetch_all(bench.system.books.orders()).await?;
    let (user, id) = newest.first().context("there are no orders yet")?;
    let mut rows = Vec::new();
    for (what, is_page, sql) in [
        ("GET /orders/{id}", false, ORDER_SQL),
        ("GET /orders, first page", true, PAGE_SQL),
    ] {
        let asked: Arc<[(Uri, HeaderValue)]> = newest
            .iter()
            .map(|(user, id)| {
                let path = if is_page {
                    "/orders".to_owned()
                } else {
                    format!("/orders/{id}")
                };
                anyhow::Ok((path.parse()?, HeaderValue::from_str(user)?))
            })
            .collect::<Result<_, _>>()?;
        let (mut direct, mut through, mut per_second) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.args.pairs {
            let limit = pgbench::run_with(
                &bench.args.pgbench,
                &bench.args.platform.orders,
                sql,
                CONNECTIONS,
                bench.args.seconds,
                &[("id", id), ("user", user)],
            )?
            .per_second;
            let service = ask(&bench.args.orders_api, &asked, bench.args.seconds).await?;
            let gateway = ask(bench.args.gateway(), &asked, bench.args.seconds).await?;
            say(&format!(
                "{what}: pgbench {limit:.0}/s, the service {service:.0}/s, the gateway {gateway:.0}/s"
            ));
            direct.push(service / limit);
            through.push(gateway / limit);
            per_second.push(service);
        }
        rows.push(Row::new(
            NAME,
            format!("{what} at the service"),
            "requests/s",
            per_second,
        ));
        let bar = Bar::AtLeast(0.4, 0.5);
        rows.push(Row::new(NAME, format!("{what} at the service, over pgbench"), "×", direct).with_bar(bar));
        rows.push(Row::new(
            NAME,
            format!("{what} through the gateway, over pgbench"),
            "×",
            through,
        ));
    }
    Ok(rows)
}

/// How long the first page of a user takes, in ms, with as many clients as above; one of the first `users`.
pub(super) async fn first_page_ms(bench: &Bench<'_>, users: i64) -> anyhow::Result<f64> {
    let names = "select user_id from accounts where user_id like 'load-%' order by user_id limit $1";
    let names = sqlx::query_scalar::<_, String>(names).bind(users);
    let names = names.fetch_all(bench.system.books.payments()).await?;
    let asked = names
        .iter()
        .map(|user| anyhow::Ok((Uri::from_static("/orders"), HeaderValue::from_str(user)?)));
    let asked = asked.collect::<Result<_, _>>()?;
    let per_second = ask(&bench.args.orders_api, &asked, bench.args.seconds).await?;
    Ok(f64::from(CONNECTIONS) * 1_000.0 / per_second)
}

/// Requests per second in a closed loop.
async fn ask(url: &str, asked: &Arc<[(Uri, HeaderValue)]>, seconds: u64) -> anyhow::Result<f64> {
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    for (connection, seed) in connect(&[url.to_owned()], CONNECTIONS).await?.into_iter().zip(1..) {
        tasks.spawn(ask_again(connection, asked.clone(), Random::new(seed), until));
    }
    let mut answers = 0;
    while let Some(done) = tasks.join_next().await {
        answers += done??;
    }
    Ok(answers as f64 / started.elapsed().as_secs_f64())
}

async fn ask_again(
    mut connection: Connection,
    asked: Arc<[(Uri, HeaderValue)]>,
    mut random: Random,
    until: Instant,
) -> anyhow::Result<u64> {
    let mut answers = 0;
    while Instant::now() < until {
        let (path, user) = &asked[random.below(asked.len())];
        let status = connection.get(path, user).await?;
        ensure!(status.is_success(), "GET {path} answers {status}");
        answers += 1;
    }
    Ok(answers)
}
