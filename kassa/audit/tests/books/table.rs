//! The faults: where, its name, what is done, and the rule that must find it.

use crate::world::Side::{self, Orders, Payments};

pub(crate) const FAULTS: [(Side, &str, &str, &str); 149] = [
    (
        Payments,
        "a cent too much",
        "update accounts set balance = balance + 0.01 where user_id = 'alice'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a cent too little",
        "update accounts set balance = balance - 0.01 where user_id = 'alice'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a balance that is gone",
        "update accounts set balance = 0 where user_id = 'dave'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a version too high",
        "update accounts set version = version + 1 where user_id = 'alice'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a version too low",
        "update accounts set version = version - 1 where user_id = 'alice'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "an account that is gone",
        "delete from accounts where user_id = 'frank'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "all accounts are gone",
        "delete from accounts",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "an account under another name",
        "update accounts set user_id = 'mallory' where user_id = 'bob'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "an account that was opened with money",
        "insert into accounts (user_id, id, balance) values ('mallory', gen_random_uuid(), 5)",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "money moved between accounts",
        "update accounts set balance = balance + case user_id when 'alice' then -1 else 1 end where user_id in ('alice', 'dave')",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "two balances swapped",
        "update accounts set balance = 41 - balance where user_id in ('dave', 'frank')",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a lost top-up",
        "delete from ledger where user_id = 'alice' and version = 3",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a lost debit",
        "delete from ledger where user_id = 'alice' and version = 8",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a lost ledger",
        "delete from ledger where user_id = 'gina'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "an empty ledger",
        "truncate ledger",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a top-up that changed no balance",
        "insert into ledger values ('carol', 1, gen_random_uuid(), 'topup', 5, 5, null)",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a top-up that was added twice under one line",
        "update accounts set balance = balance + 50, version = version + 1 where user_id = 'gina'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "a lost update of a debit",
        "update accounts set balance = balance + 6 where user_id = 'alice'",
        "an account is the sum of its ledger",
    ),
    (
        Payments,
        "an account below zero",
        "update accounts set balance = -1 where user_id = 'carol'",
        "no balance is below zero",
    ),
    (
        Payments,
        "a line below zero",
        "update ledger set balance_after = -0.01 where user_id = 'bob' and version = 2",
        "no balance is below zero",
    ),
    (
        Payments,
        "an overdraft that is booked like a payment",
        "update payment_attempts set status = 'SUCCESS', reason = null, declined_on_version = null, account_version = 3
         where order_id = o('bob', 0.01);
        insert into ledger values ('bob', 3, gen_random_uuid(), 'payment', -0.01, -0.01, o('bob', 0.01));
        update accounts set balance = -0.01, version = 3 where user_id = 'bob'",
        "no balance is below zero",
    ),
    (
        Payments,
        "a line that says a cent more",
        "update ledger set balance_after = balance_after + 0.01 where user_id = 'alice' and version = 5",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "a line that says a cent less",
        "update ledger set balance_after = balance_after - 0.01 where user_id = 'alice' and version = 8",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "a first line that begins with more",
        "update ledger set balance_after = 51 where user_id = 'alice' and version = 1",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "a top-up of another amount",
        "update ledger set amount = 31 where user_id = 'alice' and version = 2",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "a debit of another amount",
        "update ledger set amount = -11 where user_id = 'alice' and version = 4",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "two debits of which the balances are swapped",
        "update ledger set balance_after = 110 - balance_after where user_id = 'alice' and version in (5, 6)",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "a version that was left out",
        "update ledger set version = 9 where user_id = 'alice' and version = 8",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "versions that begin with two",
        "update ledger set version = version + 1 where user_id = 'gina'",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "a version that was given twice",
        "update ledger set version = 2 where user_id = 'alice' and version = 3",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "a line from the middle is gone",
        "delete from ledger where user_id = 'alice' and version = 2",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "versions of two lines swapped",
        "update ledger set version = 11 - version where user_id = 'alice' and version in (5, 6)",
        "each line of the ledger continues the one before",
    ),
    (
        Payments,
        "a debit for another order",
        "update ledger set order_id = gen_random_uuid() where user_id = 'alice' and version = 8",
        "a debit has its attempt",
    ),
    (
        Payments,
        "a debit whose attempt is gone",
        "delete from payment_attempts where order_id = o('alice', 5)",
        "a debit has its attempt",
    ),
    (
        Payments,
        "a debit whose attempt says failed",
        "update payment_attempts set status = 'FAILED', reason = 'insufficient_funds', account_version = null where order_id = o('alice', 5)",
        "a debit has its attempt",
    ),
    (
        Payments,
        "a debit whose attempt names another version",
        "update payment_attempts set account_version = 8 where order_id = o('alice', 5)",
        "a debit has its attempt",
    ),
    (
        Payments,
        "a payment without its version",
        "update payment_attempts set account_version = null where order_id = o('alice', 5)",
        "a debit has its attempt",
    ),
    (
        Payments,
        "a debit whose attempt is another user's",
        "update payment_attempts set user_id = 'bob' where order_id = o('alice', 5)",
        "a debit has its attempt",
    ),
    (
        Payments,
        "a debit whose attempt is of a cent less",
        "update payment_attempts set amount = amount - 0.01 where order_id = o('alice', 5)",
        "a debit has its attempt",
    ),
    (
        Payments,
        "a debit that nobody asked for",
        "insert into ledger values ('gina', 2, gen_random_uuid(), 'payment', -1, 49, gen_random_uuid());
        update accounts set balance = 49, version = 2 where user_id = 'gina'",
        "a debit has its attempt",
    ),
    (
        Payments,
        "orders of two debits swapped",
        "update ledger set order_id = case version when 7 then o('alice', 6) else o('alice', 5) end where user_id = 'alice' and version in (7, 8)",
        "a debit has its attempt",
    ),
    (
        Payments,
        "a debit taken back without a trace",
        "delete from ledger where user_id = 'alice' and version = 8;
        update accounts set balance = balance + 6, version = 7 where user_id = 'alice'",
        "an attempt that paid has its debit",
    ),
    (
        Payments,
        "a decline that says paid",
        "update payment_attempts set status = 'SUCCESS', reason = null, declined_on_version = null, account_version = 0 where order_id = o('carol', 1)",
        "an attempt that paid has its debit",
    ),
    (
        Payments,
        "a decline that says paid by another's debit",
        "update payment_attempts set status = 'SUCCESS', reason = null, declined_on_version = null, account_version = 2 where order_id = o('bob', 0.01)",
        "an attempt that paid has its debit",
    ),
    (
        Payments,
        "an attempt of a cent more than its debit",
        "update payment_attempts set amount = amount + 0.01 where order_id = o('frank', 7)",
        "an attempt that paid has its debit",
    ),
    (
        Payments,
        "a debit that calls itself a top-up",
        "update ledger set kind = 'topup', order_id = null where user_id = 'dave' and version = 2",
        "an attempt that paid has its debit",
    ),
    (
        Payments,
        "a second debit of an order",
        "insert into ledger values ('alice', 9, gen_random_uuid(), 'payment', -6, 23, o('alice', 6));
        update accounts set balance = 23, version = 9 where user_id = 'alice'",
        "an order is debited once",
    ),
    (
        Payments,
        "a debit from somebody else's account, too",
        "insert into ledger values ('gina', 2, gen_random_uuid(), 'payment', -6, 44, o('alice', 6));
        update accounts set balance = 44, version = 2 where user_id = 'gina'",
        "an order is debited once",
    ),
    (
        Payments,
        "each debit twice",
        "insert into ledger select user_id, version + 100, gen_random_uuid(), kind, amount, balance_after, order_id
          from ledger where kind = 'payment'",
        "an order is debited once",
    ),
    (
        Payments,
        "a top-up that was added twice",
        "insert into ledger select user_id, 2, id, kind, amount, 100, order_id from ledger where user_id = 'gina';
        update accounts set balance = 100, version = 2 where user_id = 'gina'",
        "a top-up is added once",
    ),
    (
        Payments,
        "a top-up that two accounts got",
        "insert into ledger select 'carol', 1, id, kind, amount, 50, order_id from ledger where user_id = 'gina';
        update accounts set balance = 50, version = 1 where user_id = 'carol'",
        "a top-up is added once",
    ),
    (
        Payments,
        "a decline on a version with enough",
        "update payment_attempts set declined_on_version = 1 where order_id = o('bob', 0.01)",
        "what was declined could not be paid",
    ),
    (
        Payments,
        "a decline of less than there was",
        "update payment_attempts set amount = 40 where order_id = o('alice', 1000)",
        "what was declined could not be paid",
    ),
    (
        Payments,
        "a decline on a version that never was",
        "update payment_attempts set declined_on_version = 99 where order_id = o('alice', 1000)",
        "what was declined could not be paid",
    ),
    (
        Payments,
        "a decline on a version of nobody's",
        "update payment_attempts set declined_on_version = 1 where order_id = o('carol', 1)",
        "what was declined could not be paid",
    ),
    (
        Payments,
        "a payment that was declined although there was money",
        "
        delete from ledger where user_id = 'alice' and version = 8;
        update accounts set balance = balance + 6, version = 7 where user_id = 'alice';
        update payment_attempts set status = 'FAILED', reason = 'insufficient_funds', account_version = null, declined_on_version = 7
         where order_id = o('alice', 6)",
        "what was declined could not be paid",
    ),
    (
        Payments,
        "a decline that misses an account that paid before",
        "
        delete from ledger where user_id = 'alice' and version = 8;
        update accounts set balance = balance + 6, version = 7 where user_id = 'alice';
        update payment_attempts set status = 'FAILED', reason = 'account_not_found', account_version = null where order_id = o('alice', 6)",
        "an account that was found is not missing later",
    ),
    (
        Payments,
        "a decline for another reason than it was",
        "update payment_attempts set reason = 'account_not_found', declined_on_version = null where order_id = o('bob', 0.01)",
        "an account that was found is not missing later",
    ),
    (
        Payments,
        "the same attempt twice",
        "insert into payment_attempts select * from payment_attempts where order_id = o('alice', 1000)",
        "an order has at most one attempt",
    ),
    (
        Payments,
        "a second attempt with another outcome",
        "insert into payment_attempts (order_id, user_id, amount, status, account_version, decided_at)
        select order_id, user_id, amount, 'SUCCESS', 9, decided_at from payment_attempts where order_id = o('alice', 1000)",
        "an order has at most one attempt",
    ),
    (
        Payments,
        "a lost decline",
        "delete from payment_attempts where order_id = o('alice', 1000)",
        "a closed order has an attempt",
    ),
    (
        Payments,
        "a lost attempt of an order that was paid",
        "delete from payment_attempts where order_id = o('alice', 10)",
        "a closed order has an attempt",
    ),
    (
        Payments,
        "lost attempts of a user",
        "delete from payment_attempts where user_id = 'bob'",
        "a closed order has an attempt",
    ),
    (
        Payments,
        "no attempts at all",
        "truncate payment_attempts",
        "a closed order has an attempt",
    ),
    (
        Payments,
        "an attempt for another order",
        "update payment_attempts set order_id = gen_random_uuid() where order_id = o('carol', 1)",
        "a closed order has an attempt",
    ),
    (
        Orders,
        "an order that closed before it was decided",
        "update orders set status = 'CANCELLED', status_reason = 'insufficient_funds' where id = o('henry', 2)",
        "a closed order has an attempt",
    ),
    (
        Orders,
        "a paid order that says cancelled",
        "update orders set status = 'CANCELLED', status_reason = 'insufficient_funds' where id = o('alice', 10)",
        "an order says what its attempt says",
    ),
    (
        Orders,
        "a declined order that says finished",
        "update orders set status = 'FINISHED', status_reason = null where id = o('alice', 1000)",
        "an order says what its attempt says",
    ),
    (
        Orders,
        "another reason",
        "update orders set status_reason = 'account_not_found' where id = o('alice', 1000)",
        "an order says what its attempt says",
    ),
    (
        Orders,
        "an order of a cent more",
        "update orders set amount = amount + 0.01 where id = o('alice', 10)",
        "an order says what its attempt says",
    ),
    (
        Orders,
        "an order of another user",
        "update orders set user_id = 'bob' where id = o('alice', 10)",
        "an order says what its attempt says",
    ),
    (
        Orders,
        "orders of two users swapped",
        "update orders set user_id = case user_id when 'bob' then 'carol' else 'bob' end where user_id in ('bob', 'carol')",
        "an order says what its attempt says",
    ),
    (
        Orders,
        "amounts of two orders swapped",
        "update orders set amount = 30 - amount where id in (o('alice', 10), o('alice', 20))",
        "an order says what its attempt says",
    ),
    (
        Orders,
        "every order says finished",
        "update orders set status = 'FINISHED', status_reason = null where status = 'CANCELLED'",
        "an order says what its attempt says",
    ),
    (
        Payments,
        "an attempt with another reason",
        "update payment_attempts set reason = 'account_not_found' where order_id = o('dave', 3) or order_id = o('carol', 1); update payment_attempts set reason = 'other' where order_id = o('dave', 3)",
        "an order says what its attempt says",
    ),
    (
        Payments,
        "a decline of another user",
        "update payment_attempts set user_id = 'bob' where order_id = o('dave', 3)",
        "an order says what its attempt says",
    ),
    (
        Payments,
        "a decline of another amount",
        "update payment_attempts set amount = 1001 where order_id = o('alice', 1000)",
        "an order says what its attempt says",
    ),
    (
        Payments,
        "an open order that was decided for another amount",
        "insert into payment_attempts (order_id, user_id, amount, status, reason, decided_at)
        values (o('henry', 2), 'henry', 3, 'FAILED', 'account_not_found', now())",
        "an order says what its attempt says",
    ),
    (
        Orders,
        "a lost order",
        "delete from orders where id = o('alice', 10)",
        "an attempt has its order",
    ),
    (
        Orders,
        "a lost order that was declined",
        "delete from orders where id = o('dave', 3)",
        "an attempt has its order",
    ),
    (
        Orders,
        "an order under another id",
        "update orders set id = gen_random_uuid() where id = o('alice', 20)",
        "an attempt has its order",
    ),
    (
        Orders,
        "no orders at all",
        "truncate orders",
        "an attempt has its order",
    ),
    (
        Payments,
        "a decline that nobody asked for",
        "insert into payment_attempts (order_id, user_id, amount, status, reason, decided_at)
        values (gen_random_uuid(), 'gina', 3, 'FAILED', 'account_not_found', now())",
        "an attempt has its order",
    ),
    (
        Orders,
        "a finished order that is open again",
        "update orders set status = 'NEW' where id = o('alice', 10)",
        "an open order was never closed",
    ),
    (
        Orders,
        "a cancelled order that is open again",
        "update orders set status = 'NEW', status_reason = null where id = o('alice', 1000)",
        "an open order was never closed",
    ),
    (
        Orders,
        "a finished order that never closed",
        "update orders set status = 'NEW', request_published_at = null, decided_at = null, status_published_at = null where id = o('alice', 10)",
        "a received status has closed its order",
    ),
    (
        Orders,
        "a cancelled order that never closed",
        "update orders set status = 'NEW', status_reason = null, request_published_at = null, decided_at = null, status_published_at = null where id = o('dave', 3)",
        "a received status has closed its order",
    ),
    (
        Orders,
        "orders of a user are all open",
        "update orders set status = 'NEW', status_reason = null where user_id = 'bob'",
        "a received status has closed its order",
    ),
    (
        Orders,
        "an order that was closed by a decision a microsecond later",
        "update orders set decided_at = decided_at + interval '1 us' where id = o('alice', 10)",
        "an order was closed by its own decision",
    ),
    (
        Orders,
        "an order that was closed by another's decision",
        "update orders set decided_at = (select decided_at from orders where id = o('dave', 4)) where id = o('alice', 10)",
        "an order was closed by its own decision",
    ),
    (
        Payments,
        "an attempt that was decided once more",
        "update payment_attempts set decided_at = decided_at + interval '1 hour' where order_id = o('alice', 5)",
        "an order was closed by its own decision",
    ),
    (
        Orders,
        "a lost request",
        "delete from streams.outbox where event_id = req('alice', 10)",
        "an order has one request",
    ),
    (
        Orders,
        "lost requests of a user",
        "delete from streams.outbox where record_key = 'bob'",
        "an order has one request",
    ),
    (
        Orders,
        "an empty outbox",
        "truncate streams.outbox",
        "an order has one request",
    ),
    (
        Orders,
        "an order without a request",
        "insert into orders (id, user_id, amount) values (gen_random_uuid(), 'alice', 1)",
        "an order has one request",
    ),
    (
        Orders,
        "an order that is asked for twice",
        "insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
        select gen_random_uuid(), topic, record_key, event_type, subject, payload from streams.outbox where event_id = req('alice', 10)",
        "an order has one request",
    ),
    (
        Orders,
        "a request for another order",
        "update streams.outbox set subject = o('alice', 20)::text where event_id = req('alice', 10)",
        "an order has one request",
    ),
    (
        Orders,
        "a request in another topic",
        "update streams.outbox set topic = 'payment-status' where event_id = req('alice', 10)",
        "an order has one request",
    ),
    (
        Payments,
        "a lost answer",
        "delete from streams.outbox where event_id = sta('alice', 10)",
        "an attempt is answered",
    ),
    (
        Payments,
        "a lost answer to a decline",
        "delete from streams.outbox where event_id = sta('dave', 3)",
        "an attempt is answered",
    ),
    (
        Payments,
        "no answers at all",
        "truncate streams.outbox",
        "an attempt is answered",
    ),
    (
        Payments,
        "an attempt without an answer",
        "insert into payment_attempts (order_id, user_id, amount, status, reason, decided_at)
        values (o('henry', 2), 'henry', 2, 'FAILED', 'account_not_found', now())",
        "an attempt is answered",
    ),
    (
        Payments,
        "an answer for another order",
        "update streams.outbox set subject = o('alice', 20)::text where event_id = sta('alice', 10)",
        "an attempt is answered",
    ),
    (
        Orders,
        "the same request twice",
        "insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
        select event_id, topic, record_key, event_type, subject, payload from streams.outbox where event_id = req('alice', 10)",
        "an event is staged once",
    ),
    (
        Payments,
        "the same answer twice",
        "insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
        select event_id, topic, record_key, event_type, subject, payload from streams.outbox where event_id = sta('alice', 10)",
        "an event is staged once",
    ),
    (
        Orders,
        "a request without an order",
        "insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
        values (gen_random_uuid(), 'payment-request', 'alice', '', gen_random_uuid()::text, '')",
        "an event has its row",
    ),
    (
        Orders,
        "a request about nothing",
        "update streams.outbox set subject = 'nothing' where event_id = req('alice', 10)",
        "an event has its row",
    ),
    (
        Orders,
        "a request whose order is gone",
        "delete from orders where id = o('henry', 2)",
        "an event has its row",
    ),
    (
        Payments,
        "an answer without an attempt",
        "insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
        values (gen_random_uuid(), 'payment-status', '', '', o('henry', 2)::text, '')",
        "an event has its row",
    ),
    (
        Payments,
        "an answer whose attempt is gone",
        "delete from payment_attempts where order_id = o('dave', 3)",
        "an event has its row",
    ),
    (
        Orders,
        "a request under another user's key",
        "update streams.outbox set record_key = 'bob' where event_id = req('alice', 10)",
        "an event has the key of its row",
    ),
    (
        Orders,
        "an order that changed hands",
        "update orders set user_id = 'gina' where id = o('henry', 2)",
        "an event has the key of its row",
    ),
    (
        Payments,
        "an answer under another order's key",
        "update streams.outbox set record_key = o('alice', 20)::text where event_id = sta('alice', 10)",
        "an event has the key of its row",
    ),
    (
        Payments,
        "an answer under its user's key",
        "update streams.outbox set record_key = 'alice' where event_id = sta('alice', 10)",
        "an event has the key of its row",
    ),
    (
        Payments,
        "a request that never arrived",
        "delete from streams.inbox where event_id = req('dave', 4)",
        "an event is delivered",
    ),
    (
        Payments,
        "requests that never arrived",
        "truncate streams.inbox",
        "an event is delivered",
    ),
    (
        Payments,
        "requests that never arrived, of a user who has a letter that nobody could read",
        "delete from streams.inbox where event_id in (select request from test_orders where user_id = 'bob');
        insert into streams.dead_letter (subscription_id, partition, \"offset\", record_key, stage, state, holds_key, cause, reason)
        select subscription_id, partition, 4000, 'bob', 'deserialize', 'discarded', false, 'no event', 'a test'
          from streams.consumer_position limit 1",
        "an event is delivered",
    ),
    (
        Payments,
        "a request that arrived under another id",
        "update streams.inbox set event_id = uuid_in(overlay(event_id::text placing 'ffff' from 33)::cstring) where event_id = req('carol', 1)",
        "an event is delivered",
    ),
    (
        Payments,
        "a request that another group applied",
        "insert into streams.subscription (consumer_group, topic) values ('others', 'payment-request');
        update streams.inbox set subscription_id = (select id from streams.subscription where consumer_group = 'others')
         where event_id = req('carol', 1)",
        "an event is delivered",
    ),
    (
        Payments,
        "a parked request whose letter is gone",
        "delete from streams.dead_letter where event_id = req('henry', 2)",
        "an event is delivered",
    ),
    (
        Payments,
        "a held request whose letter is gone",
        "delete from streams.dead_letter where event_id = req('henry', 11)",
        "an event is delivered",
    ),
    (
        Orders,
        "an answer that never arrived",
        "delete from streams.inbox where event_id = sta('alice', 10)",
        "an event is delivered",
    ),
    (
        Orders,
        "answers that never arrived",
        "truncate streams.inbox",
        "an event is delivered",
    ),
    (
        Orders,
        "a request that was just staged, and is lost",
        "insert into orders (id, user_id, amount) values (gen_random_uuid(), 'zoe', 1);
        insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
        select gen_random_uuid(), 'payment-request', 'zoe', '', id::text, '' from orders where user_id = 'zoe'",
        "an event is delivered",
    ),
    (
        Payments,
        "a request that was skipped",
        "delete from streams.inbox where event_id = req('alice', 5)",
        "no event is passed over",
    ),
    (
        Payments,
        "the first request of a transaction was skipped",
        "delete from streams.inbox where event_id = req('alice', 10)",
        "no event is passed over",
    ),
    (
        Payments,
        "a letter that was never written",
        "delete from streams.dead_letter where event_id = req('frank', 7); delete from streams.inbox where event_id = req('frank', 7)",
        "no event is passed over",
    ),
    (
        Payments,
        "a position that was moved past a record",
        "update streams.consumer_position set next_offset = 99; delete from streams.inbox where event_id = req('bob', 40)",
        "no event is passed over",
    ),
    (
        Payments,
        "two requests of a transaction swapped",
        "update streams.inbox set \"offset\" = 1 - \"offset\" where \"offset\" in (0, 1)",
        "events of a key keep their order",
    ),
    (
        Payments,
        "two requests of two transactions swapped",
        "update streams.inbox set \"offset\" = 11 - \"offset\" where \"offset\" in (5, 6)",
        "events of a key keep their order",
    ),
    (
        Payments,
        "an early request came last",
        "update streams.inbox set \"offset\" = 8 - \"offset\" where \"offset\" in (2, 6)",
        "events of a key keep their order",
    ),
    (
        Payments,
        "everything came the other way round",
        "update streams.inbox set \"offset\" = 15 - \"offset\"",
        "events of a key keep their order",
    ),
    (
        Payments,
        "a request that came before all",
        "update streams.inbox set \"offset\" = -1 where event_id = req('bob', 0.01)",
        "events of a key keep their order",
    ),
    (
        Orders,
        "requests that were staged the other way round",
        "update streams.outbox set id = 100 - id where record_key = 'alice'",
        "events of a key keep their order",
    ),
    (
        Payments,
        "a request that nobody sent",
        "insert into streams.inbox select uuid_in(overlay(event_id::text placing 'ffff' from 33)::cstring), subscription_id, partition, 77 from streams.inbox limit 1",
        "what was received was staged",
    ),
    (
        Orders,
        "an answer that nobody sent",
        "insert into streams.inbox select uuid_in(overlay(event_id::text placing 'ffff' from 33)::cstring), subscription_id, partition, 77 from streams.inbox limit 1",
        "what was received was staged",
    ),
    (
        Orders,
        "a request that was unsent",
        "delete from streams.outbox where event_id = req('carol', 1)",
        "what was received was staged",
    ),
    (
        Payments,
        "an answer that was unsent",
        "delete from streams.outbox where event_id = sta('carol', 1)",
        "what was received was staged",
    ),
    (
        Payments,
        "a request that was applied without effect",
        "delete from streams.dead_letter where event_id = req('henry', 2);
        insert into streams.inbox select req('henry', 2), subscription_id, partition, 14 from streams.inbox limit 1",
        "a received request has its attempt",
    ),
    (
        Payments,
        "an effect that was undone",
        "delete from payment_attempts where order_id = o('carol', 1)",
        "a received request has its attempt",
    ),
    (
        Payments,
        "a letter that was replayed without effect",
        "update streams.dead_letter set state = 'replayed' where event_id = req('henry', 2);
        insert into streams.inbox select req('henry', 2), subscription_id, partition, 14 from streams.inbox limit 1",
        "a received request has its attempt",
    ),
    (
        Payments,
        "a letter without effect whose copy was given up",
        "update streams.dead_letter set state = 'replayed' where event_id = req('henry', 2);
        insert into streams.dead_letter (subscription_id, partition, \"offset\", record_key, event_id, stage, state, holds_key, cause, reason)
        select subscription_id, partition, 4000, 'henry', req('henry', 2), 'held', 'discarded', true, 'a copy', 'a test'
          from streams.consumer_position limit 1;
        insert into streams.inbox select req('henry', 2), subscription_id, partition, 14 from streams.inbox limit 1",
        "a received request has its attempt",
    ),
    (
        Payments,
        "a lost position of payments",
        "delete from streams.consumer_position",
        "what was received has a position",
    ),
    (
        Orders,
        "a lost position of orders",
        "delete from streams.consumer_position",
        "what was received has a position",
    ),
    (
        Payments,
        "a request from a partition that nobody reads",
        "update streams.inbox set partition = 9 where event_id = req('carol', 1)",
        "what was received has a position",
    ),
    (
        Payments,
        "a letter that calls itself replayed",
        "update streams.dead_letter set state = 'replayed' where event_id = req('henry', 2)",
        "a letter that was replayed was applied",
    ),
    (
        Payments,
        "a replayed letter that the inbox forgot",
        "delete from streams.inbox where event_id = req('frank', 7)",
        "a letter that was replayed was applied",
    ),
    (
        Payments,
        "a pending letter of a request that was applied",
        "insert into streams.inbox select req('henry', 2), subscription_id, partition, 14 from streams.inbox limit 1",
        "a letter that is pending was not applied",
    ),
    (
        Payments,
        "a replayed letter that is pending again",
        "update streams.dead_letter set state = 'pending', stage = 'store' where event_id = req('frank', 7)",
        "a letter that is pending was not applied",
    ),
];
