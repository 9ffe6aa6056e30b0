-- Partitions come ahead of need and go behind it. The services' role may call these functions
-- and nothing else that changes tables, hence `security definer`.

-- The lowest UUIDv7 of a moment.
create function streams.uuid_from_time(at timestamptz) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

-- Creates one partition; another session that creates the same one at the same time is no error.
create function streams.create_partition(parent text, name text, low text, high text) returns void
    language plpgsql security definer set search_path = pg_catalog as $$
begin
    if to_regclass('streams.' || quote_ident(name)) is not null then
        return;
    end if;
    -- Attached, not created as a partition: that takes a weaker lock, so writers go on.
    execute format('create table streams.%I (like streams.%I including defaults including constraints)', name, parent);
    execute format('alter table streams.%I attach partition streams.%I for values from (%L) to (%L)', parent, name, low, high);
exception when duplicate_table or unique_violation then
    null;
end $$;

-- Keeps eight outbox partitions of 2^20 events ahead of the newest event.
create function streams.extend_outbox() returns void
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    size   constant bigint := 1 << 20;
    newest bigint := coalesce((select last_value from pg_sequences
                                where schemaname = 'streams' and sequencename = 'outbox_id_seq'), 0);
    n      bigint;
begin
    for n in newest / size .. newest / size + 7 loop
        perform streams.create_partition('outbox', 'outbox_' || n, (n * size)::text, ((n + 1) * size)::text);
    end loop;
end $$;

-- Keeps a partition for each day from `back` days ago to `ahead` days from now.
create function streams.extend_inbox(back integer, ahead integer) returns void
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    day date;
begin
    for day in select generate_series(current_date - back, current_date + ahead, interval '1 day')::date loop
        perform streams.create_partition('inbox', 'inbox_' || to_char(day, 'YYYYMMDD'),
            streams.uuid_from_time(day::timestamp at time zone 'UTC')::text,
            streams.uuid_from_time((day + 1)::timestamp at time zone 'UTC')::text);
    end loop;
end $$;

-- Drops the outbox partitions whose events are all published and older than `retention`; tells how many.
create function streams.drop_old_outbox(retention interval) returns integer
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    child     regclass;
    published pg_snapshot := (select r.published from streams.relay r);
    newest    bigint := coalesce((select last_value from pg_sequences
                                   where schemaname = 'streams' and sequencename = 'outbox_id_seq'), 0);
    keep      boolean;
    dropped   integer := 0;
begin
    for child in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'streams.outbox'::regclass loop
        -- A partition that still takes events, or will, is not old.
        continue when substring(child::text from '[0-9]+$')::bigint >= newest / (1 << 20);
        execute format('select exists (select from %s where staged_at > now() - $1 or not pg_visible_in_snapshot(xid, $2))', child)
            into keep using retention, published;
        continue when keep;
        execute format('alter table streams.outbox detach partition %s', child);
        execute format('drop table %s', child);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

-- Drops the inbox partitions that ended longer than `retention` ago; tells how many.
create function streams.drop_old_inbox(retention interval) returns integer
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    child   regclass;
    dropped integer := 0;
begin
    for child in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'streams.inbox'::regclass loop
        continue when to_date(substring(child::text from '[0-9]{8}$'), 'YYYYMMDD') + 1 > (now() - retention)::date;
        execute format('alter table streams.inbox detach partition %s', child);
        execute format('drop table %s', child);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

select streams.extend_outbox();
select streams.extend_inbox(14, 14);

-- After a restore from a dump: transaction ids have started anew, so everything kept is published once more.
create function streams.restamp_outbox(relay_epoch bigint) returns void
    language plpgsql security definer set search_path = pg_catalog as $$
begin
    update streams.relay
       set published = (pg_snapshot_xmin(pg_current_snapshot())::text || ':' || pg_snapshot_xmin(pg_current_snapshot())::text || ':')::pg_snapshot,
           window_end = null, window_after = 0
     where epoch = relay_epoch;
    if found then
        update streams.outbox set xid = pg_current_xact_id();
    end if;
end $$;

-- What a service's role may do with these tables; the rest is the owner's.
create function streams.grant_to(role text) returns void
    language plpgsql set search_path = pg_catalog as $$
begin
    execute format('grant usage on schema streams to %I', role);
    execute format('grant select, insert on streams.subscription, streams.inbox, streams.outbox to %I', role);
    execute format('grant select, insert, update on streams.consumer_position, streams.dead_letter, streams.request_key to %I', role);
    execute format('grant select, update on streams.relay to %I', role);
    execute format('grant select on all sequences in schema streams to %I', role);
    execute format('grant execute on function streams.extend_outbox, streams.extend_inbox, streams.drop_old_outbox,
                    streams.drop_old_inbox, streams.restamp_outbox to %I', role);
end $$;

revoke execute on all functions in schema streams from public;
