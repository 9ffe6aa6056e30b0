//! Charges the buyer's account for each order.
//!
//! `payment-request` → [`ChargeAccount`] → `payment-status`.
//! The debit, the attempt, the inbox row and the outgoing event commit together or not at all.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemas::{Amount, Balance, PaymentOutcome, PaymentRequest, PaymentStatus};
use streams::seeded_bug::{self, Bug};
use streams::{Forward, Processor, Record, Reject};
use uuid::Uuid;

/// The account does not exist.
pub(crate) const ACCOUNT_NOT_FOUND: &str = "account_not_found";
/// The balance is smaller than the amount.
pub(crate) const INSUFFICIENT_FUNDS: &str = "insufficient_funds";

/// What a batch of payment requests is decided on: its accounts, and attempts that were made before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charging {
    /// The accounts of the batch's users, as the decisions so far leave them; a missing one does not exist.
    pub accounts: HashMap<String, Account>,
    /// The attempts for the batch's orders, those of this batch included.
    pub attempts: HashMap<Uuid, Attempt>,
    /// Attempts made by this batch, in order.
    pub new_attempts: Vec<Uuid>,
    /// Ledger rows made by this batch, in order.
    pub new_lines: Vec<LedgerLine>,
}

/// An account as far as charging goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Never below zero.
    pub balance: Balance,
    /// The number of changes of the balance.
    pub version: i64,
    /// The version that was loaded; the write is guarded by it.
    pub loaded_version: i64,
}

/// The decision for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who was to pay.
    pub user_id: String,
    /// How much.
    pub amount: Amount,
    /// `None`: paid; otherwise the reason of the decline.
    pub declined: Option<String>,
    /// Of a debit: the account's version after it.
    pub account_version: Option<i64>,
    /// Of a decline for want of money: the account's version that had too little.
    pub declined_on_version: Option<i64>,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
}

/// A debit in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// The line's own id, a UUIDv7.
    pub id: Uuid,
    /// Whose account.
    pub user_id: String,
    /// The account's version after the debit.
    pub version: i64,
    /// How much was taken.
    pub amount: Amount,
    /// What was left.
    pub balance_after: Balance,
    /// For which order.
    pub order_id: Uuid,
}

/// Decides payments against the accounts loaded for the batch.
#[derive(Clone, Copy, Debug)]
pub struct ChargeAccount;

impl Processor for ChargeAccount {
    const NAME: &'static str = "charge-account";
    type Input = PaymentRequest;
    type Output = PaymentStatus;
    type State = Charging;

    /// Decides one request. A decline is an answer for the buyer, not a failure.
    ///
    /// # Errors
    /// The order was attempted before with another user or amount: one of the two requests is wrong, and
    /// an operator has to say which.
    fn process(
        &self,
        record: &Record<PaymentRequest>,
        state: &mut Charging,
        out: &mut Forward<PaymentStatus>,
    ) -> Result<(), Reject> {
        let request = &record.event;
        if let Some(before) = state.attempts.get(&request.order_id)
            && !seeded_bug::is_on(Bug::AttemptsIgnored)
        {
            if before.user_id != request.user_id || before.amount != request.amount {
                return Err(Reject::invalid(format!(
                    "order {} was decided before for another user or amount ({})",
                    request.order_id, before.amount
                )));
            }
            // Asked again under another event id: the same answer again, and no second debit.
            let again = before.clone();
            out_status(record, &again, out);
            return Ok(());
        }
        let attempt = state.attempt(request, out);
        out_status(record, &attempt, out);
        if attempt.declined.is_some() && seeded_bug::is_on(Bug::DeclineNotRemembered) {
            return Ok(());
        }
        state.new_attempts.push(request.order_id);
        state.attempts.insert(request.order_id, attempt);
        Ok(())
    }
}

impl Charging {
    /// Debits the account, or says why not.
    fn attempt(&mut self, request: &PaymentRequest, out: &mut Forward<PaymentStatus>) -> Attempt {
        let mut attempt = Attempt {
            user_id: request.user_id.clone(),
            amount: request.amount,
            declined: None,
            account_version: None,
            declined_on_version: None,
            decided_at: out.now(),
        };
        let Some(account) = self.accounts.get_mut(&request.user_id) else {
            attempt.declined = Some(ACCOUNT_NOT_FOUND.to_owned());
            return attempt;
        };
        let overdraft = seeded_bug::is_on(Bug::OverdraftPaid).then_some(Balance::ZERO);
        let Some(rest) = account.balance.checked_sub(request.amount).or(overdraft) else {
            attempt.declined = Some(INSUFFICIENT_FUNDS.to_owned());
            attempt.declined_on_version = Some(account.version);
            return attempt;
        };
        account.balance = rest;
        account.version += i64::from(!seeded_bug::is_on(Bug::VersionNotRaised));
        attempt.account_version = Some(account.version);
        self.new_lines.push(LedgerLine {
            id: out.next_event_id(),
            user_id: request.user_id.clone(),
            version: account.version,
            amount: request.amount,
            balance_after: rest,
            order_id: request.order_id,
        });
        attempt
    }
}

fn out_status(record: &Record<PaymentRequest>, attempt: &Attempt, out: &mut Forward<PaymentStatus>) {
    let request = &record.event;
    let status = PaymentStatus {
        event_id: out.next_event_id(),
        order_id: request.order_id,
        user_id: request.user_id.clone(),
        status: if attempt.declined.is_none() {
            PaymentOutcome::Success
        } else {
            PaymentOutcome::Failed
        },
        reason: attempt.declined.clone(),
        decided_at: attempt.decided_at,
        request_published_at: record.appended_at,
    };
    out.forward(status);
}
