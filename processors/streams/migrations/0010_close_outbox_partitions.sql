-- The relay asked every partition that is kept at every look: with a thousand of them that is 50 ms and two thousand locks, ten
-- times a second. Below `closed_below` all is published and nothing can come any more, so it does not look there.
alter table streams.relay add column closed_below bigint not null default 0;

-- Whoever took an id of a partition before that was closed has been asleep since. Its transaction is tried again, with new ids.
create function streams.refuse_closed() returns trigger
    language plpgsql set search_path = pg_catalog as $$
begin
    raise exception 'partition % is closed; another try gets an id of a later one', tg_relid::regclass
        using errcode = 'serialization_failure';
end $$;

-- Closes the oldest open partition of the outbox if all of it is published, and tells how many it was. Whoever calls this does so
-- until there is none.
create function streams.close_outbox() returns integer
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    size    constant bigint := 1 << 20;
    newest  bigint := coalesce((select last_value from pg_sequences
                                 where schemaname = 'streams' and sequencename = 'outbox_id_seq'), 0) / size;
    number  bigint := (select r.closed_below / size from streams.relay r);
    child   text;
    waits   constant text := 'select exists (select from %s where xid >= pg_snapshot_xmin($1) and not pg_visible_in_snapshot(xid, $1))';
    waiting boolean;
begin
    if number >= newest then
        return 0; -- It still takes events.
    end if;
    child := 'streams.outbox_' || number;
    if to_regclass(child) is not null then
        execute format(waits, child) into waiting using (select r.published from streams.relay r);
        if waiting then
            return 0;
        end if;
        -- Waits for whoever is still writing here, and lets nobody begin.
        execute format('create or replace trigger closed before insert on %s for each row execute function streams.refuse_closed()', child);
        -- Nobody restamps from here on; what was restamped before is seen below.
        perform from streams.relay for update;
        execute format(waits, child) into waiting using (select r.published from streams.relay r);
        if waiting then
            raise exception '% took an event while it was being closed', child using errcode = 'object_in_use';
        end if;
    end if;
    update streams.relay set closed_below = (number + 1) * size where closed_below / size = number;
    return 1;
end $$;

-- As before; and what is stamped anew is read again.
create or replace function streams.restamp_outbox(relay_epoch bigint) returns void
    language plpgsql security definer set search_path = pg_catalog as $$
begin
    update streams.relay
       set published = (pg_snapshot_xmin(pg_current_snapshot())::text || ':' || pg_snapshot_xmin(pg_current_snapshot())::text || ':')::pg_snapshot,
           window_end = null, window_after = 0, closed_below = 0
     where epoch = relay_epoch;
    if found then
        -- 3 is before every window.
        update streams.outbox
           set xid = case when staged_at > now() - interval '13 days' then pg_current_xact_id() else '3'::xid8 end,
               settled_below = null;
    end if;
end $$;

-- As before; but it ends at the first that stays, for those behind it are younger: each that it looks at is locked.
create or replace function streams.drop_old_outbox(retention interval) returns integer
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    child     regclass;
    published pg_snapshot := (select r.published from streams.relay r);
    newest    bigint := coalesce((select last_value from pg_sequences
                                   where schemaname = 'streams' and sequencename = 'outbox_id_seq'), 0);
    seen      pg_snapshot;
    keep      boolean;
begin
    for child in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'streams.outbox'::regclass
                  order by substring(i.inhrelid::regclass::text from '[0-9]+$')::bigint loop
        -- A partition that still takes events, or will, is not old.
        exit when substring(child::text from '[0-9]+$')::bigint >= newest / (1 << 20);
        seen := pg_current_snapshot();
        execute format('select exists (select from %s where staged_at > now() - $1 or not pg_visible_in_snapshot(xid, $2))', child)
            into keep using retention, published;
        exit when keep;
        execute format('alter table streams.outbox detach partition %s', child);
        -- Detaching waits for whoever is still writing here. What they commit was not seen above, and everybody waits now, so
        -- only that is looked for.
        execute format('select exists (select from %s where xid >= pg_snapshot_xmin($1) and not pg_visible_in_snapshot(xid, $1))', child)
            into keep using seen;
        if keep then
            raise exception '% took an event while it was being dropped', child using errcode = 'object_in_use';
        end if;
        execute format('drop table %s', child);
        return 1;
    end loop;
    return 0;
end $$;

create or replace function streams.grant_to(role text) returns void
    language plpgsql set search_path = pg_catalog as $$
begin
    execute format('grant usage on schema streams to %I', role);
    execute format('grant select, insert on streams.subscription, streams.inbox, streams.outbox, streams.request_key to %I', role);
    execute format('grant select, insert, update on streams.consumer_position, streams.dead_letter to %I', role);
    execute format('grant select, update on streams.relay to %I', role);
    execute format('grant select on all sequences in schema streams to %I', role);
    execute format('grant execute on function streams.extend_outbox, streams.extend_inbox, streams.extend_request_keys,
                    streams.close_outbox, streams.drop_old_outbox, streams.drop_old_inbox, streams.drop_old_request_keys,
                    streams.admit_request_keys, streams.restamp_outbox to %I', role);
end $$;

revoke execute on function streams.refuse_closed, streams.close_outbox from public;
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
