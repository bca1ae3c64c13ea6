-- no-transaction
-- cleanup-old-data: whom a report names, by any id however it is written and by any word, found when that member is anonymised.
-- Built concurrently, because the table is written while it is built.

create index concurrently weekly_reports_by_trace
    on weekly_reports
    using gin (
        uuids_in(coalesce((metrics -> 'at_risk')::text, '') || ' ' || insights::text || ' ' || recommendations::text),
        words_in(coalesce((metrics -> 'at_risk')::text, '') || ' ' || insights::text || ' ' || recommendations::text)
    ) with (fastupdate = off);
