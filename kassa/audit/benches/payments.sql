-- The payments side of the books of orders.sql.
create function id(n bigint, base timestamptz, what text) returns uuid immutable language sql as $$
    select (lpad(to_hex((extract(epoch from base) * 1000)::bigint + n * 80), 12, '0') || what || '8000' || lpad(to_hex(n), 12, '0'))::uuid
$$;

-- How many changes the account has seen when order n of it is decided, this one included if it is paid.
create function version(n bigint, users bigint) returns bigint immutable language sql as $$
    select 2 + n / users - (n / users + 1) / 20
$$;

insert into ledger (user_id, version, id, kind, amount, balance_after)
select 'user-' || u, 1, id(u, :base, '7003'), 'topup', 1000000, 1000000 from generate_series(0::bigint, :users - 1) u;

insert into ledger (user_id, version, id, kind, amount, balance_after, order_id)
select 'user-' || n % :users, version(n, :users), id(n, :base, '7004'), 'payment', -(1 + n % 100),
       1000000 - sum(1 + n % 100) over (partition by n % :users order by n), id(n, :base, '7000')
  from generate_series(0::bigint, :orders - 1) n where n / :users % 20 <> 19;

insert into payment_attempts (order_id, user_id, amount, status, reason, account_version, declined_on_version, decided_at)
select id(n, :base, '7000'), 'user-' || n % :users, case when is_declined then 9999999 else 1 + n % 100 end,
       case when is_declined then 'FAILED' else 'SUCCESS' end, case when is_declined then 'insufficient_funds' end,
       case when not is_declined then version(n, :users) end, case when is_declined then version(n, :users) end,
       :base + n * interval '80 ms'
  from (select n, n / :users % 20 = 19 as is_declined from generate_series(0::bigint, :orders - 1) n) o;

insert into accounts (user_id, id, balance, version)
select user_id, id(0, :base, '7005'), 1000000 + sum(amount) filter (where kind = 'payment'), count(*) from ledger group by user_id;

insert into streams.outbox (xid, settled_below, event_id, topic, record_key, event_type, subject, staged_at, payload)
select (100 + n / 50)::text::xid8, (100 + n / 50)::text::xid8, id(n, :base, '7002'), 'payment-status', id(n, :base, '7000')::text,
       'kassa.payment.decided', id(n, :base, '7000')::text, :base + n * interval '80 ms', decode(repeat('00', 110), 'hex')
  from generate_series(0::bigint, :orders - 1) n;

-- A user's requests are all in one partition.
insert into streams.subscription (consumer_group, topic) values ('payments', 'payment-request');
insert into streams.inbox select id(n, :base, '7001'), 1, n % :users % 4, n from generate_series(0::bigint, :orders - 1) n;
insert into streams.consumer_position select 1, p, :orders, 1 from generate_series(0, 3) p;
analyze;
