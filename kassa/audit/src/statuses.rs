//! Whether every order says what its attempt says, and has said so since its end.

use sqlx::PgPool;
use uuid::Uuid;

use crate::finding::{Exhibit, Kind, Offences, Side};
use crate::rows::{Attempts, IdSet, Order};

/// Compares both sides; tells how many orders are open. `attempts` are of a later moment than `orders`.
pub(crate) fn compare(orders: &[Order], attempts: &Attempts, offences: &mut Offences) -> u64 {
    let mut open = 0;
    for order in orders {
        let both = || vec![Exhibit::order(Side::Orders, order.id), Exhibit::attempt(order.id)];
        let attempt = attempts.by_order.get(&order.id);
        let Some(decision) = order.decision else {
            open += 1;
            if order.was_closed {
                offences.note(Kind::Wrong, "an open order was never closed", both);
            }
            // It may have been decided already, but for the same user and amount.
            if attempt.is_some_and(|attempt| attempt.terms != order.terms) {
                offences.note(Kind::Wrong, "an order says what its attempt says", both);
            }
            continue;
        };
        match attempt {
            None => offences.note(Kind::Wrong, "a closed order has an attempt", both),
            Some(attempt) if (attempt.terms, attempt.decision) != (order.terms, decision) => {
                offences.note(Kind::Wrong, "an order says what its attempt says", both);
            }
            // The time is not compared with another: it travelled with the decision, so it names it.
            Some(attempt) if order.decided_at.is_some_and(|at| at != attempt.decided_at) => {
                offences.note(Kind::Wrong, "an order was closed by its own decision", both);
            }
            Some(_) => {}
        }
    }
    if let Some(order) = attempts.doubled {
        offences.note(Kind::Doubled, "an order has at most one attempt", || {
            vec![Exhibit::order(Side::Orders, order), Exhibit::attempt(order)]
        });
    }
    open
}

/// Of attempts whose order was not in the snapshot: one whose order is not there `now` either.
pub(crate) async fn orphan(
    orders: &[Order],
    attempts: &Attempts,
    now: &PgPool,
    offences: &mut Offences,
) -> sqlx::Result<()> {
    let known: IdSet = orders.iter().map(|order| order.id).collect();
    let unknown = attempts.by_order.keys().filter(|order| !known.contains(order));
    let mut unknown: Vec<Uuid> = unknown.map(|order| Uuid::from_u128(*order)).collect();
    unknown.sort_unstable();
    let orphan: Option<Uuid> = sqlx::query_scalar(
        "select a.id from unnest($1::uuid[]) as a(id) where not exists (select from orders o where o.id = a.id) limit 1",
    )
    .bind(&unknown)
    .fetch_optional(now)
    .await?;
    if let Some(order) = orphan.map(|order| order.as_u128()) {
        offences.note(Kind::Doubled, "an attempt has its order", || {
            vec![Exhibit::order(Side::Orders, order), Exhibit::attempt(order)]
        });
    }
    Ok(())
}
