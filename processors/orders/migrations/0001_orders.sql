-- Orders, from accepted to paid or declined.

do $$ begin
    create role orders_app login;
exception when duplicate_object or unique_violation then
    null; -- roles belong to the server, not to the database
end $$;

create table orders (
    id            uuid           primary key, -- UUIDv7, so newest first is id descending
    user_id       text           not null,
    amount        numeric(15, 2) not null check (amount > 0),
    description   text           check (char_length(description) <= 500),
    status        text           not null default 'NEW' check (status in
                  ('NEW',         -- accepted; the payment is under way
                   'FINISHED',    -- paid
                   'CANCELLED')), -- declined, see status_reason
    status_reason text,
    created_at    timestamptz    not null default now(),
    updated_at    timestamptz    not null default now(),
    check ((status = 'CANCELLED') = (status_reason is not null))
) with (fillfactor = 85);
create index orders_of_user on orders (user_id, id desc);

grant select, insert, update on orders to orders_app;
select streams.grant_to('orders_app');
