-- Accounts, what happened to their balances, and one attempt per order.
-- Every table carries the user id, so that accounts can be split over databases by it one day.

do $$ begin
    create role payments_app login;
exception when duplicate_object or unique_violation then
    null; -- roles belong to the server, not to the database
end $$;

create table accounts (
    user_id    text           primary key,
    id         uuid           not null,
    balance    numeric(15, 2) not null default 0 check (balance >= 0),
    version    bigint         not null default 0, -- the number of changes of the balance
    created_at timestamptz    not null default now(),
    updated_at timestamptz    not null default now()
) with (fillfactor = 50);

-- One row per change of a balance, never changed itself. Its version is the account's after the change.
create table ledger (
    user_id       text           not null,
    version       bigint         not null,
    id            uuid           not null,
    kind          text           not null check (kind in ('topup', 'payment')),
    amount        numeric(15, 2) not null, -- signed: a payment is negative
    balance_after numeric(15, 2) not null check (balance_after >= 0),
    order_id      uuid,
    created_at    timestamptz    not null default now(),
    primary key (user_id, version),
    check ((kind = 'topup') = (amount > 0)),
    check ((kind = 'payment') = (order_id is not null))
);
-- A top-up that is committed twice, because its first COMMIT got lost on the way back, is found by its id.
create unique index ledger_topup on ledger (id) where kind = 'topup';

-- The decision for each order, made once. A debit names the ledger row that it made.
create table payment_attempts (
    order_id        uuid           primary key,
    user_id         text           not null,
    amount          numeric(15, 2) not null check (amount > 0),
    status          text           not null check (status in ('SUCCESS', 'FAILED')),
    reason          text,   -- of a decline: account_not_found, insufficient_funds
    account_version bigint, -- of a debit: the ledger row is (user_id, account_version)
    decided_at      timestamptz    not null,
    check ((status = 'FAILED') = (reason is not null)),
    check ((status = 'SUCCESS') = (account_version is not null))
);

grant select, insert, update on accounts to payments_app;
grant select, insert on ledger, payment_attempts to payments_app;
select streams.grant_to('payments_app');
