-- Each of these drops one partition now, the oldest, and tells how many it was; whoever calls them does so until there is none.
-- One transaction for all of them held the lock on one table while it waited for the next: a batch that wrote to both the
-- other way round stood in its way each time.

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
        continue when substring(child::text from '[0-9]+$')::bigint >= newest / (1 << 20);
        seen := pg_current_snapshot();
        execute format('select exists (select from %s where staged_at > now() - $1 or not pg_visible_in_snapshot(xid, $2))', child)
            into keep using retention, published;
        continue when keep;
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

create or replace function streams.drop_old_inbox(retention interval) returns integer
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    child   regclass;
    day     date;
begin
    for child in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'streams.inbox'::regclass
                  order by i.inhrelid::regclass::text loop
        day := to_date(substring(child::text from '[0-9]{8}$'), 'YYYYMMDD');
        continue when day + 1 > (now() - retention)::date;
        continue when exists (
            select from streams.dead_letter d
             where d.state in ('pending', 'held', 'replaying')
               and d.event_id >= streams.uuid_from_time(day::timestamp at time zone 'UTC')
               and d.event_id < streams.uuid_from_time((day + 1)::timestamp at time zone 'UTC'));
        execute format('alter table streams.inbox detach partition %s', child);
        execute format('drop table %s', child);
        return 1;
    end loop;
    return 0;
end $$;

create or replace function streams.drop_old_request_keys(retention interval) returns integer
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    child   regclass;
begin
    for child in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'streams.request_key'::regclass
                  order by i.inhrelid::regclass::text loop
        continue when to_date(substring(child::text from '[0-9]{8}$'), 'YYYYMMDD') + 1 > (now() - retention)::date;
        execute format('alter table streams.request_key detach partition %s', child);
        execute format('drop table %s', child);
        return 1;
    end loop;
    return 0;
end $$;
