-- Drops the inbox partitions that ended longer than `retention` ago; tells how many. A day stays for as long as a dead
-- letter of it is open: when that is replayed at last, the inbox must be able to remember it.
create or replace function streams.drop_old_inbox(retention interval) returns integer
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    child   regclass;
    day     date;
    dropped integer := 0;
begin
    for child in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'streams.inbox'::regclass loop
        day := to_date(substring(child::text from '[0-9]{8}$'), 'YYYYMMDD');
        continue when day + 1 > (now() - retention)::date;
        continue when exists (
            select from streams.dead_letter d
             where d.state in ('pending', 'held', 'replaying')
               and d.event_id >= streams.uuid_from_time(day::timestamp at time zone 'UTC')
               and d.event_id < streams.uuid_from_time((day + 1)::timestamp at time zone 'UTC'));
        execute format('alter table streams.inbox detach partition %s', child);
        execute format('drop table %s', child);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;
