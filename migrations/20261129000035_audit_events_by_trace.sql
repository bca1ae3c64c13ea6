-- no-transaction
-- cleanup-old-data: whom a row of audit_events names, by any id and any word in it, found when that member is anonymised. Built
-- concurrently, because the table is written while it is built. What is
-- written is indexed at once: a list of it that waits would be read whole at each search, which no time-out ends.

create index concurrently audit_events_by_trace
    on audit_events
    using gin (
        uuids_in(entity_id || ' ' || payload::text),
        words_in(entity_id || ' ' || payload::text)
    ) with (fastupdate = off);
