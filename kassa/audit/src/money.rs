//! Whether every balance follows from the ledger, every debit from an attempt, and every decision from a balance.

use sqlx::Row as _;

use crate::finding::{Finding, Kind};
use crate::snapshot::Snapshot;

/// Opening + top-ups − debits = balance; one version for each change; never below zero.
const BALANCES: &str = "
    select concat('account ', coalesce(to_jsonb(a)::text, 'none'), '; ledger ', coalesce(to_jsonb(l)::text, 'none'))
      from accounts a
      full join (select user_id, sum(amount) as total, count(*) as lines from ledger group by user_id) l using (user_id)
     where a.user_id is null or a.balance <> coalesce(l.total, 0) or a.version <> coalesce(l.lines, 0)
     limit 1";

const BELOW_ZERO: &str = "
    select concat('account ', coalesce(to_jsonb(a)::text, 'none'), '; line ', coalesce(to_jsonb(l)::text, 'none'))
      from accounts a left join ledger l using (user_id, version) where a.balance < 0
     union all
    select concat('account ', coalesce(to_jsonb(a)::text, 'none'), '; line ', to_jsonb(l))
      from ledger l left join accounts a using (user_id) where l.balance_after < 0 limit 1";

/// Recomputed line by line in the order of versions. The line before is the other row.
const CHAIN: &str = "
    select concat('line ', to_jsonb(l), '; before it ', coalesce(to_jsonb(b)::text, 'none')) from (
        select user_id, version, amount, balance_after,
               lag(balance_after, 1, 0::numeric) over w as balance_before, lag(version, 1, 0::bigint) over w as version_before
          from ledger window w as (partition by user_id order by version)) l
      left join ledger b on b.user_id = l.user_id and b.version = l.version_before
     where l.balance_after <> l.balance_before + l.amount or l.version <> l.version_before + 1 limit 1";

const DEBIT_WITHOUT_ATTEMPT: &str = "
    select concat('line ', to_jsonb(l), '; attempt ',
                  coalesce((select to_jsonb(o)::text from payment_attempts o where o.order_id = l.order_id limit 1), 'none'))
      from ledger l
      left join payment_attempts p on p.order_id = l.order_id and p.status = 'SUCCESS' and p.user_id = l.user_id
                                  and p.amount = -l.amount and p.account_version = l.version
     where l.kind = 'payment' and p.order_id is null limit 1";

const ATTEMPT_WITHOUT_DEBIT: &str = "
    select concat('attempt ', to_jsonb(p), '; line ',
                  coalesce((select to_jsonb(o)::text from ledger o
                             where o.user_id = p.user_id and o.version = p.account_version), 'none'))
      from payment_attempts p
      left join ledger l on l.user_id = p.user_id and l.version = p.account_version
                        and l.order_id = p.order_id and l.kind = 'payment' and p.amount = -l.amount
     where p.status = 'SUCCESS' and l.user_id is null limit 1";

const DEBITED_TWICE: &str = "
    select concat('order ', order_id, ': ', jsonb_agg(to_jsonb(l))) from ledger l
     where kind = 'payment' group by order_id having count(*) > 1 limit 1";

const ADDED_TWICE: &str = "
    select concat('top-up ', id, ': ', jsonb_agg(to_jsonb(l))) from ledger l
     where kind = 'topup' group by id having count(*) > 1 limit 1";

/// A decline keeps the version that it was decided on; that version's balance is in the ledger.
const FALSE_DECLINE: &str = "
    select concat('attempt ', to_jsonb(p), '; line ', coalesce(to_jsonb(l)::text, 'none')) from payment_attempts p
      left join ledger l on l.user_id = p.user_id and l.version = p.declined_on_version
     where p.declined_on_version is not null
       and (coalesce(l.balance_after, 0) >= p.amount or p.declined_on_version > 0 and l.user_id is null) limit 1";

/// A user's decisions are made one after the other, and their events numbered in that order. An account that one of them
/// found cannot be missing for a later one. The event is the decision's own, not a repeated answer, if it was staged at
/// the very time of the decision.
const MISSED_ACCOUNT: &str = "
    with missed as materialized (
        select p.user_id, p.order_id from payment_attempts p join accounts a using (user_id)
         where p.reason = 'account_not_found'
    ), decided as materialized (
        select p.user_id, p.order_id, p.reason, o.id from payment_attempts p
          join streams.outbox o on o.topic = 'payment-status' and o.subject = p.order_id::text and o.staged_at = p.decided_at
         where p.user_id in (select user_id from missed)
    )
    select concat('attempt ', to_jsonb(p), '; found by ', to_jsonb(f)) from decided m
      join decided d on d.user_id = m.user_id and d.id < m.id and d.reason is distinct from 'account_not_found'
      join payment_attempts p on p.order_id = m.order_id join payment_attempts f on f.order_id = d.order_id
     where m.reason = 'account_not_found' limit 1";

/// What an offender is, which rule it breaks, and the question that finds it.
type Check = (Kind, &'static str, &'static str);

const CHECKS: [Check; 6] = [
    (Kind::Wrong, "an account is the sum of its ledger", BALANCES),
    (Kind::Wrong, "no balance is below zero", BELOW_ZERO),
    (Kind::Wrong, "each line of the ledger continues the one before", CHAIN),
    (Kind::Doubled, "a top-up is added once", ADDED_TWICE),
    (Kind::Wrong, "what was declined could not be paid", FALSE_DECLINE),
    (
        Kind::Wrong,
        "an account that was found is not missing later",
        MISSED_ACCOUNT,
    ),
];

/// Anything that does not match between debits and attempts, in one pass that keeps no rows to show: a quarter of the time
/// of the two questions that name an offender, which are asked only if this finds one.
const DIFFERENT: &str = "
    select 'debits and attempts differ' from (select * from ledger where kind = 'payment') l
      full join (select * from payment_attempts where status = 'SUCCESS') p using (order_id)
     where l.user_id is distinct from p.user_id or l.amount is distinct from -p.amount
        or l.version is distinct from p.account_version limit 1";

const ANY_DEBITED_TWICE: &str =
    "select order_id::text from ledger where kind = 'payment' group by order_id having count(*) > 1 limit 1";

/// A sieve, and the checks that are worth their time only if something is left in it.
const SIEVED: [(&str, &[Check]); 2] = [
    (
        DIFFERENT,
        &[
            (Kind::Doubled, "a debit has its attempt", DEBIT_WITHOUT_ATTEMPT),
            (Kind::Lost, "an attempt that paid has its debit", ATTEMPT_WITHOUT_DEBIT),
        ],
    ),
    (
        ANY_DEBITED_TWICE,
        &[(Kind::Doubled, "an order is debited once", DEBITED_TWICE)],
    ),
];

const NOT_JUDGED: &str =
    "select count(*) from payment_attempts where reason = 'insufficient_funds' and declined_on_version is null";

/// What was found, and how many declines name no version to judge them by.
pub(crate) async fn audit(payments: &mut Snapshot) -> sqlx::Result<(Vec<Finding>, u64)> {
    let mut findings = find(payments, &CHECKS).await?;
    for (sieve, checks) in SIEVED {
        if payments.first(sieve).await?.is_some() {
            findings.extend(find(payments, checks).await?);
        }
    }
    let not_judged: i64 = sqlx::query(NOT_JUDGED).fetch_one(&mut *payments.tx).await?.get(0);
    Ok((findings, u64::try_from(not_judged).unwrap_or(0)))
}

async fn find(payments: &mut Snapshot, checks: &[Check]) -> sqlx::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for &(kind, rule, query) in checks {
        if let Some(rows) = payments.first(query).await? {
            findings.push(Finding { kind, rule, rows });
        }
    }
    Ok(findings)
}
