-- The limit L(100): the least that any program must write to Postgres for 100 orders, in the least commits that
-- the design allows. Everything but Postgres is missing on purpose: HTTP, Kafka, decisions in a service.
--
-- Run by pgbench with prepared statements; one run of this script is 100 orders and three commits. It writes less
-- than the platform does (no ledger, inbox or positions of a consumer), so a ratio to it flatters nobody.

-- Users are drawn by a hash of this, so that the second statement finds those of the first again without reading.
\set seed random(1, 9000000000000000000)

-- 1. Orders, with the event that asks for each payment. Ids are UUIDv7s, because a random key would make every
-- insert a page of its own; Postgres 15 cannot make them. They differ by batch (time and seed) and count up within.
with batch as materialized (
    select lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
           || substring(lpad(to_hex(:seed::bigint), 16, '0') from 2 for 3) || '8'
           || substring(lpad(to_hex(:seed::bigint), 16, '0') from 6 for 11) as prefix
), request as materialized (
    select (prefix || lpad(to_hex(i), 4, '0'))::uuid as id,
           'limit-' || abs(hashint8extended(i, :seed) % 100000) as user_id
      from batch, generate_series(1, 100) i
), placed as (
    insert into orders (id, user_id, amount) select id, user_id, 1.00 from request
), requested as (
    insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
    select id, 'payment-request', user_id, 'kassa.payment.requested', id::text, decode(repeat('5a', 110), 'hex')
      from request
)
select prefix from batch \gset

-- 2. Payments: an account that is asked several times changes once. The locks are taken in the order of the keys,
-- or two batches that share two accounts would wait for each other in a ring.
with request as materialized (
    select (:prefix::text || lpad(to_hex(i), 4, '0'))::uuid as id,
           'limit-' || abs(hashint8extended(i, :seed) % 100000) as user_id
      from generate_series(1, 100) i
), folded as materialized (
    select user_id, count(*) as debits, sum(1.00) as total from request group by user_id
), locked as materialized (
    select user_id from accounts where user_id = any(array(select user_id from folded)) order by user_id for update
), charged as (
    update accounts
       set balance = balance - total, version = version + debits, updated_at = now()
      from folded join locked using (user_id)
     where accounts.user_id = folded.user_id and balance >= total
    returning accounts.user_id, version
), attempt as (
    insert into payment_attempts (order_id, user_id, amount, status, account_version, decided_at)
    select id, user_id, 1.00, 'SUCCESS', version, now() from request join charged using (user_id)
)
insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
select id, 'payment-status', id::text, 'kassa.payment.decided', id::text, decode(repeat('5a', 110), 'hex')
  from request join charged using (user_id);

-- 3. The orders are paid.
update orders set status = 'FINISHED', updated_at = now()
  from (select (:prefix::text || lpad(to_hex(i), 4, '0'))::uuid as id from generate_series(1, 100) i) decided
 where orders.id = decided.id and status = 'NEW';
