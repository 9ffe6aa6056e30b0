//! Whether every balance follows from the ledger, and every debit from an attempt.

use crate::finding::{Finding, Kind};
use crate::snapshot::Snapshot;

/// Opening + top-ups − debits = balance; one version for each change; never below zero.
const BALANCES: &str = "
    select concat('account ', to_jsonb(a), ', ledger ', to_jsonb(l)) from accounts a
      full join (select user_id, sum(amount) as total, count(*) as lines from ledger group by user_id) l using (user_id)
     where a.user_id is null or a.balance <> coalesce(l.total, 0) or a.version <> coalesce(l.lines, 0) or a.balance < 0
     limit 1";

/// Recomputed line by line in the order of versions.
const CHAIN: &str = "
    select concat('line ', to_jsonb(l)) from (
        select l.*, sum(amount) over w as computed, row_number() over w as place
          from ledger l window w as (partition by user_id order by version)) l
     where l.balance_after <> l.computed or l.version <> l.place limit 1";

const DEBIT_WITHOUT_ATTEMPT: &str = "
    select concat('line ', to_jsonb(l), ', attempt ', to_jsonb(p)) from ledger l
      left join payment_attempts p on p.order_id = l.order_id and p.status = 'SUCCESS' and p.user_id = l.user_id
                                  and p.amount = -l.amount and p.account_version = l.version
     where l.kind = 'payment' and p.order_id is null limit 1";

const ATTEMPT_WITHOUT_DEBIT: &str = "
    select concat('attempt ', to_jsonb(p)) from payment_attempts p
      left join ledger l on l.user_id = p.user_id and l.version = p.account_version
                        and l.order_id = p.order_id and l.kind = 'payment' and p.amount = -l.amount
     where p.status = 'SUCCESS' and l.id is null limit 1";

const DEBITED_TWICE: &str = "
    select concat('order ', order_id, ': ', jsonb_agg(to_jsonb(l))) from ledger l
     where kind = 'payment' group by order_id having count(*) > 1 limit 1";

const CHECKS: [(Kind, &str, &str); 5] = [
    (Kind::Wrong, "an account is the sum of its ledger", BALANCES),
    (Kind::Wrong, "each line of the ledger continues the one before", CHAIN),
    (Kind::Doubled, "a debit has its attempt", DEBIT_WITHOUT_ATTEMPT),
    (Kind::Lost, "an attempt that paid has its debit", ATTEMPT_WITHOUT_DEBIT),
    (Kind::Doubled, "an order is debited once", DEBITED_TWICE),
];

pub(crate) async fn audit(payments: &mut Snapshot) -> sqlx::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (kind, rule, query) in CHECKS {
        if let Some(rows) = payments.first(query).await? {
            findings.push(Finding { kind, rule, rows });
        }
    }
    Ok(findings)
}
