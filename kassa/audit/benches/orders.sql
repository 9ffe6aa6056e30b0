-- The orders side of consistent books: `orders` of them, of `users` users, from `base` on; the same numbers as payments.sql.
-- Each user has 1000000.00; order n asks for 1.00 to 100.00, and every twentieth of a user for more than there is.
create function id(n bigint, base timestamptz, what text) returns uuid immutable language sql as $$
    select (lpad(to_hex((extract(epoch from base) * 1000)::bigint + n * 80), 12, '0') || what || '8000' || lpad(to_hex(n), 12, '0'))::uuid
$$;

insert into orders (id, user_id, amount, status, status_reason, created_at, updated_at, decided_at)
select id(n, :base, '7000'), 'user-' || n % :users, case when n / :users % 20 = 19 then 9999999 else 1 + n % 100 end,
       case when n / :users % 20 = 19 then 'CANCELLED' else 'FINISHED' end,
       case when n / :users % 20 = 19 then 'insufficient_funds' end,
       :base + n * interval '80 ms', :base + n * interval '80 ms', :base + n * interval '80 ms'
  from generate_series(0::bigint, :orders - 1) n;

insert into streams.outbox (xid, settled_below, event_id, topic, record_key, event_type, subject, staged_at, payload)
select (100 + n / 50)::text::xid8, (100 + n / 50)::text::xid8, id(n, :base, '7001'), 'payment-request', 'user-' || n % :users,
       'kassa.payment.requested', id(n, :base, '7000')::text, :base + n * interval '80 ms', decode(repeat('00', 90), 'hex')
  from generate_series(0::bigint, :orders - 1) n;

insert into streams.subscription (consumer_group, topic) values ('orders', 'payment-status');
insert into streams.inbox select id(n, :base, '7002'), 1, n % 4, n / 4 from generate_series(0::bigint, :orders - 1) n;
insert into streams.consumer_position select 1, p, :orders / 4 + 1, 1 from generate_series(0, 3) p;
analyze;
