-- Why a record is parked, as a code to filter by; `cause` says it in words, and `reason` is that of a discard.
-- The default is for programs of the version before, which run beside this one during an upgrade.
alter table streams.dead_letter add column reason_code text not null default 'unknown';

update streams.dead_letter set reason_code = case
    when stage = 'held' then 'held'
    when stage = 'process' then 'rejected'
    when stage = 'store' and cause like 'the processor % panicked: %' then 'panicked'
    when stage = 'store' then 'refused'
    when cause = 'the record has no value' then 'no_value'
    when cause like 'unknown schema id %: schema id % is not one of %' then 'incompatible_schema'
    when cause like 'unknown schema id %' then 'unknown_schema'
    when cause like 'the record''s key is not the event''s key %' then 'wrong_key'
    when cause like 'the event id % is not a UUIDv7' then 'unusable_id'
    when cause like 'the time in the event id %' then 'unusable_id'
    else 'undecodable' end;

-- A key is any bytes, and a B-tree takes no more than some 2,700 of them: a longer one could not be parked, and its
-- partition would stand still. Only letters that hold their key are looked for by it.
drop index streams.dead_letter_open;
create index dead_letter_holding on streams.dead_letter using hash (record_key)
    where holds_key and state in ('pending', 'held', 'replaying');
-- What waits, oldest first; settled letters are kept for ever.
create index dead_letter_waiting on streams.dead_letter (state, id) where state in ('pending', 'held', 'replaying');
