-- A decline for want of money keeps the account's version that it was decided on: the balance after that version is in
-- the ledger, so whoever doubts the decline can see whether it was right.
alter table payment_attempts
    -- Null: paid, or there was no account, or it was decided by a program that did not write this yet.
    add column declined_on_version bigint,
    -- Not valid: there is nothing to check in the rows that are there, and no reason to read them all under a lock.
    add constraint declined_on_version_of_a_decline
        check (declined_on_version is null or reason = 'insufficient_funds' and declined_on_version >= 0) not valid;
