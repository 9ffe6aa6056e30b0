-- Drops the outbox partitions whose events are all published and older than `retention`; tells how many.
create or replace function streams.drop_old_outbox(retention interval) returns integer
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
        -- Detaching waits for whoever is still writing here, and what they commit was not seen above.
        execute format('select exists (select from %s where staged_at > now() - $1 or not pg_visible_in_snapshot(xid, $2))', child)
            into keep using retention, published;
        if keep then
            raise exception '% took an event while it was being dropped', child using errcode = 'object_in_use';
        end if;
        execute format('drop table %s', child);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;
