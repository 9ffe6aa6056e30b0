-- Which event was staged after which: transactions at the same time come in no sequence, and neither ids nor clocks tell
-- who met whom. An event whose `xid` is below another's `settled_below` was committed before the other was staged.
alter table streams.outbox add column settled_below xid8; -- null: from before this column, or stamped anew
-- A step of its own, or the rows that are there would get this transaction's.
alter table streams.outbox alter column settled_below set default pg_snapshot_xmin(pg_current_snapshot());

-- As before; and what is stamped anew has lost its place among transactions.
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
           set xid = case when staged_at > now() - interval '13 days' then pg_current_xact_id() else '3'::xid8 end,
               settled_below = null;
    end if;
end $$;
