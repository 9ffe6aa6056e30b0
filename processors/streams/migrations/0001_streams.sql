-- What the library keeps beside a service's own tables: how far it has read, what it has received,
-- what it has to publish, and what could not be applied.
create schema if not exists streams;

-- One row for each topic that a consumer group reads; its id keeps the hot tables narrow.
create table streams.subscription (
    id             smallint generated always as identity primary key,
    consumer_group text not null,
    topic          text not null,
    unique (consumer_group, topic)
);

-- How far a group has read, and who may write next. Taking a partition over raises `epoch`;
-- each batch moves `next_offset` only where its own epoch still stands.
create table streams.consumer_position (
    subscription_id smallint    not null,
    partition       integer     not null,
    next_offset     bigint      not null,
    epoch           bigint      not null,
    updated_at      timestamptz not null default now(),
    primary key (subscription_id, partition)
) with (fillfactor = 50);

-- Every event that was applied, by its UUIDv7: a second delivery inserts nothing and changes nothing.
-- Partitioned by the time inside the id; keep it longer than the topics keep their records.
create table streams.inbox (
    event_id        uuid     not null,
    subscription_id smallint not null,
    partition       integer  not null,
    "offset"        bigint   not null,
    primary key (event_id, subscription_id)
) partition by range (event_id);

-- Events to publish, written in the transaction that made them true. Append-only.
create table streams.outbox (
    id          bigint      generated always as identity,
    xid         xid8        not null default pg_current_xact_id(), -- the relay reads by snapshot difference
    event_id    uuid        not null,
    topic       text        not null,
    record_key  text        not null,
    event_type  text        not null,
    subject     text        not null,
    traceparent text,
    staged_at   timestamptz not null default now(),
    payload     bytea       not null
) partition by range (id);
create index outbox_xid on streams.outbox (xid);

-- The one relay: who owns it, until when by this database's clock, and what it has published.
create table streams.relay (
    one          boolean primary key default true check (one),
    owner        text,
    epoch        bigint      not null default 0,
    lease_until  timestamptz not null default '-infinity',
    published    pg_snapshot not null,  -- everything visible in it is published
    window_end   pg_snapshot,           -- a window that is being published: (published, window_end]
    window_after bigint      not null default 0, -- ids up to here of that window are published
    updated_at   timestamptz not null default now()
) with (fillfactor = 50);
insert into streams.relay (published) values (pg_current_snapshot());

-- Records that could not be applied, and those that wait behind one of the same key.
create table streams.dead_letter (
    id              bigint      generated always as identity primary key,
    subscription_id smallint    not null,
    partition       integer     not null,
    "offset"        bigint      not null,
    record_key      bytea,
    record_value    bytea,
    headers         jsonb       not null default '[]', -- [[name, base64 or null], …] in the order of the record
    event_id        uuid,                              -- null: the value could not be decoded
    stage           text        not null check (stage in ('deserialize', 'process', 'store', 'held')),
    state           text        not null check (state in
                    ('pending',     -- waits for an operator
                     'held',        -- waits for an earlier record of its key
                     'replaying',   -- an operator asked to try it again
                     'replayed',    -- applied in the end
                     'discarded')), -- given up, with a reason
    holds_key       boolean     not null,              -- later records of the key wait
    cause           text        not null,
    attempts        integer     not null default 1,
    reason          text,                              -- of a discard
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    digest          uuid        generated always as (md5(coalesce(record_value, ''::bytea))::uuid) stored,
    -- The digest tells a replayed topic (same record) from a recreated one (another record at the same offset).
    unique (subscription_id, partition, "offset", digest)
);
create index dead_letter_open on streams.dead_letter (subscription_id, record_key)
    where state in ('pending', 'held', 'replaying');

-- Answers to requests that carried an idempotency key, written in the transaction of their effect.
create table streams.request_key (
    scope       text        not null, -- whose key it is
    route       text        not null, -- for which request
    key         text        not null,
    fingerprint bytea       not null, -- of the canonical body
    answer      text,                 -- null only inside the transaction that is working on it
    created_at  timestamptz not null default now(),
    primary key (scope, route, key)
);
