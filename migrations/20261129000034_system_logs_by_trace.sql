-- no-transaction
-- cleanup-old-data: whom a row of system_logs names, by any id and any word in it, found when that member is anonymised. Built
-- concurrently, because the table is written while it is built. What is
-- written is indexed at once: a list of it that waits would be read whole at each search, which no time-out ends.

create index concurrently system_logs_by_trace
    on system_logs
    using gin (
        uuids_in(message || ' ' || details::text),
        words_in(message || ' ' || details::text)
    ) with (fastupdate = off);
