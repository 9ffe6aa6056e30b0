-- Idempotency keys expire: partitioned by the day on which they were first used, and dropped whole.
-- What they were used for does not hang on them: it is unique by an id of its own.

drop table streams.request_key;
create table streams.request_key (
    scope       text        not null, -- whose key it is
    route       text        not null, -- for which request
    key         text        not null,
    fingerprint bytea       not null, -- of the canonical body
    answer      text        not null, -- written in the transaction of the effect
    created_at  timestamptz not null default now(),
    -- A key is unique because its lock is held while it is looked for and written; see admit_request_keys.
    primary key (scope, route, key, created_at)
) partition by range (created_at);

-- Locks each key for this transaction and tells what is known of it. A key that another transaction is just working
-- on is not waited for. A function, because the look must come after the lock, with a snapshot of its own.
create function streams.admit_request_keys(scopes text[], routes text[], keys text[])
    returns table (n bigint, in_progress boolean, fingerprint bytea, answer text)
    language plpgsql set search_path = pg_catalog as $$
declare
    refused bigint[];
begin
    refused := array(
        select a.n from unnest(scopes, routes, keys) with ordinality as a(scope, route, key, n)
         where not pg_try_advisory_xact_lock(hashtextextended(concat_ws(E'\x1f', a.scope, a.route, a.key), 7)));
    return query
        select a.n, a.n = any(refused), k.fingerprint, k.answer
          from unnest(scopes, routes, keys) with ordinality as a(scope, route, key, n)
          left join streams.request_key k on k.scope = a.scope and k.route = a.route and k.key = a.key
         where a.n = any(refused) or k.answer is not null;
end $$;

-- Keeps a partition for each day from yesterday to `ahead` days from now.
create function streams.extend_request_keys(ahead integer) returns void
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    day date;
begin
    for day in select generate_series(current_date - 1, current_date + ahead, interval '1 day')::date loop
        perform streams.create_partition('request_key', 'request_key_' || to_char(day, 'YYYYMMDD'),
            (day::timestamp at time zone 'UTC')::text, ((day + 1)::timestamp at time zone 'UTC')::text);
    end loop;
end $$;

-- Drops the days that ended longer than `retention` ago; tells how many.
create function streams.drop_old_request_keys(retention interval) returns integer
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    child   regclass;
    dropped integer := 0;
begin
    for child in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'streams.request_key'::regclass loop
        continue when to_date(substring(child::text from '[0-9]{8}$'), 'YYYYMMDD') + 1 > (now() - retention)::date;
        execute format('alter table streams.request_key detach partition %s', child);
        execute format('drop table %s', child);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

select streams.extend_request_keys(14);

create or replace function streams.grant_to(role text) returns void
    language plpgsql set search_path = pg_catalog as $$
begin
    execute format('grant usage on schema streams to %I', role);
    execute format('grant select, insert on streams.subscription, streams.inbox, streams.outbox, streams.request_key to %I', role);
    execute format('grant select, insert, update on streams.consumer_position, streams.dead_letter to %I', role);
    execute format('grant select, update on streams.relay to %I', role);
    execute format('grant select on all sequences in schema streams to %I', role);
    execute format('grant execute on function streams.extend_outbox, streams.extend_inbox, streams.extend_request_keys,
                    streams.drop_old_outbox, streams.drop_old_inbox, streams.drop_old_request_keys,
                    streams.admit_request_keys, streams.restamp_outbox to %I', role);
end $$;

revoke execute on all functions in schema streams from public;
-- A database whose service was there before this migration keeps its grants.
do $$
declare
    app name;
begin
    for app in select distinct grantee::name from information_schema.role_table_grants
                where table_schema = 'streams' and table_name = 'outbox' and grantee <> current_user loop
        perform streams.grant_to(app);
    end loop;
end $$;
