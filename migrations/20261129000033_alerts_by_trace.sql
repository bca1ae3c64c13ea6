-- no-transaction
-- cleanup-old-data: whom a row of alerts names, by any id and any word in it, found when that member is anonymised. Built
-- concurrently, because the table is written while it is built. What is
-- written is indexed at once: a list of it that waits would be read whole at each search, which no time-out ends.

create index concurrently alerts_by_trace
    on alerts
    using gin (
        uuids_in(title || ' ' || details::text || ' ' || recommended_actions::text),
        words_in(title || ' ' || details::text || ' ' || recommended_actions::text)
    ) with (fastupdate = off);
