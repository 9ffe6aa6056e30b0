//! Cuts a failing plan down to what it takes to fail.

use streams::seeded_bug::Bug;

use crate::plan::Plan;
use crate::run::run;

/// The smallest plan that still breaks the same rule, as far as leaving things out one after the other gets.
#[must_use]
pub fn shrink(plan: &Plan, bug: Option<Bug>) -> Plan {
    let Some(rule) = run(plan, bug, false).violation.map(|violation| violation.rule) else {
        return plan.clone();
    };
    let still_fails = |plan: &Plan| {
        run(plan, bug, false)
            .violation
            .is_some_and(|violation| violation.rule == rule)
    };
    let mut smallest = plan.clone();
    loop {
        let size = smallest.wishes.len() + smallest.incidents.len();
        leave_out(&mut smallest, |plan| &mut plan.incidents, still_fails);
        leave_out(&mut smallest, |plan| &mut plan.wishes, still_fails);
        if smallest.wishes.len() + smallest.incidents.len() == size {
            return smallest;
        }
    }
}

/// Leaves out runs of items, long ones first.
fn leave_out<T>(plan: &mut Plan, items: impl Fn(&mut Plan) -> &mut Vec<T>, still_fails: impl Fn(&Plan) -> bool) {
    let mut length = items(plan).len().div_ceil(2);
    while length > 0 {
        let mut at = 0;
        while at < items(plan).len() {
            let mut smaller = plan.clone();
            let end = (at + length).min(items(plan).len());
            items(&mut smaller).drain(at..end);
            if still_fails(&smaller) {
                *plan = smaller;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
}
