-- After a restore from a dump: transaction ids have started anew, so what receivers can still know is published once
-- more. Older events were published long before; their receivers' inboxes have forgotten them and would refuse them.
create or replace function streams.restamp_outbox(relay_epoch bigint) returns void
    language plpgsql security definer set search_path = pg_catalog as $$
begin
    update streams.relay
       set published = (pg_snapshot_xmin(pg_current_snapshot())::text || ':' || pg_snapshot_xmin(pg_current_snapshot())::text || ':')::pg_snapshot,
           window_end = null, window_after = 0
     where epoch = relay_epoch;
    if found then
        -- 3 is before every window.
        update streams.outbox
           set xid = case when staged_at > now() - interval '13 days' then pg_current_xact_id() else '3'::xid8 end;
    end if;
end $$;
