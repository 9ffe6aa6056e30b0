//! Whether every order says what its attempt says.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use crate::finding::{Finding, Kind};
use crate::snapshot::Snapshot;

/// What both databases must agree about: user, amount, outcome, reason.
type Terms = (String, String, String, Option<String>);

const ORDERS: &str = "select id, user_id, amount::text, status, status_reason from orders";
const ATTEMPTS: &str = "select order_id, user_id, amount::text, status, reason from payment_attempts";

pub(crate) struct Statuses {
    pub(crate) orders: u64,
    pub(crate) open: u64,
    pub(crate) findings: Vec<Finding>,
}

/// `payments` was taken after `orders`; `now` is asked once more about attempts whose order came in between.
pub(crate) async fn audit(orders: &mut Snapshot, payments: &mut Snapshot, now: &PgPool) -> sqlx::Result<Statuses> {
    let mut attempts: HashMap<Uuid, Terms> = HashMap::new();
    let mut rows = sqlx::query(ATTEMPTS).fetch(&mut *payments.tx);
    while let Some(row) = rows.try_next().await? {
        attempts.insert(row.get(0), terms(&row));
    }
    drop(rows);
    let mut statuses = Statuses {
        orders: 0,
        open: 0,
        findings: Vec::new(),
    };
    let (mut without, mut differs) = (None, None);
    let mut rows = sqlx::query(ORDERS).fetch(&mut *orders.tx);
    while let Some(row) = rows.try_next().await? {
        let (id, order) = (row.get::<Uuid, _>(0), terms(&row));
        statuses.orders += 1;
        let attempt = attempts.remove(&id);
        match (expected(&order), attempt) {
            // Open: the attempt may be there already, but for the same user and amount.
            (None, attempt) => {
                statuses.open += 1;
                if attempt
                    .as_ref()
                    .is_some_and(|attempt| (&attempt.0, &attempt.1) != (&order.0, &order.1))
                {
                    differs.get_or_insert_with(|| format!("order {id} {order:?}, attempt {attempt:?}"));
                }
            }
            (Some(_), None) => {
                without.get_or_insert_with(|| format!("order {id} {order:?}"));
            }
            (Some(expected), Some(attempt)) if expected != attempt => {
                differs.get_or_insert_with(|| format!("order {id} {order:?}, attempt {attempt:?}"));
            }
            (Some(_), Some(_)) => {}
        }
    }
    drop(rows);
    let orphan = without_order(attempts, now).await?;
    for (kind, rule, rows) in [
        (Kind::Wrong, "a closed order has an attempt", without),
        (Kind::Wrong, "an order says what its attempt says", differs),
        (Kind::Doubled, "an attempt has its order", orphan),
    ] {
        statuses.findings.extend(rows.map(|rows| Finding { kind, rule, rows }));
    }
    Ok(statuses)
}

fn terms(row: &PgRow) -> Terms {
    (row.get(1), row.get(2), row.get(3), row.get(4))
}

/// The attempt that an order's status follows from; none while it is open.
fn expected((user, amount, status, reason): &Terms) -> Option<Terms> {
    let outcome = match status.as_str() {
        "FINISHED" => "SUCCESS",
        "CANCELLED" => "FAILED",
        _ => return None,
    };
    Some((user.clone(), amount.clone(), outcome.to_owned(), reason.clone()))
}

/// Of attempts whose order was not in the snapshot: the first whose order is not there now either.
async fn without_order(attempts: HashMap<Uuid, Terms>, now: &PgPool) -> sqlx::Result<Option<String>> {
    let ids: Vec<Uuid> = attempts.keys().copied().collect();
    let there: Vec<Uuid> = sqlx::query_scalar("select id from orders where id = any($1)")
        .bind(&ids)
        .fetch_all(now)
        .await?;
    let orphan = attempts.iter().find(|(id, _)| !there.contains(id));
    Ok(orphan.map(|(id, attempt)| format!("attempt for order {id} {attempt:?}")))
}
