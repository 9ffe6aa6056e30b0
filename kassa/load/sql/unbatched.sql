-- One order in five commits, as a program does it that handles one at a time: place, take note of the request, pay, take
-- note of the answer, close. What it writes is the limit's, order by order.
\set seed random(1, 9000000000000000000)
\set user random(0, 99999)
select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || substring(lpad(to_hex(:seed::bigint), 16, '0') from 2 for 3) || '8'
        || substring(lpad(to_hex(:seed::bigint), 16, '0') from 2 for 15))::uuid as id \gset

-- 1. The order, with the event that asks for its payment.
with placed as (
    insert into orders (id, user_id, amount) values (:id::uuid, 'limit-' || :user::text, 1.00)
)
insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
values (:id::uuid, 'payment-request', 'limit-' || :user::text, 'kassa.payment.requested', :id::text, decode(repeat('5a', 110), 'hex'));

-- 2. The request has been received.
insert into streams.inbox (event_id, subscription_id, partition, "offset") values (:id::uuid, 1, 0, 0);

-- 3. The payment, with the event that tells of it.
with charged as (
    update accounts set balance = balance - 1.00, version = version + 1, updated_at = now()
     where user_id = 'limit-' || :user::text and balance >= 1.00
    returning version
), attempt as (
    insert into payment_attempts (order_id, user_id, amount, status, account_version, decided_at)
    select :id::uuid, 'limit-' || :user::text, 1.00, 'SUCCESS', version, now() from charged
)
insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
select :id::uuid, 'payment-status', :id::text, 'kassa.payment.decided', :id::text, decode(repeat('5a', 110), 'hex') from charged;

-- 4. The answer has been received.
insert into streams.inbox (event_id, subscription_id, partition, "offset") values (:id::uuid, 2, 0, 0);

-- 5. The order is paid.
update orders set status = 'FINISHED', updated_at = now() where id = :id::uuid and status = 'NEW';
