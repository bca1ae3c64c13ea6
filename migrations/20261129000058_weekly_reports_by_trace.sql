-- no-transaction
-- cleanup-old-data: finds the reports that name a member who is anonymised, by an id however it is written or by any word.
-- Built concurrently, because the table is written while it is built.

create index concurrently weekly_reports_by_trace
    on weekly_reports
    using gin (
        uuids_in(coalesce((metrics -> 'at_risk')::text, '') || ' ' || insights::text || ' ' || recommendations::text),
        words_in(coalesce((metrics -> 'at_risk')::text, '') || ' ' || insights::text || ' ' || recommendations::text)
    ) with (fastupdate = off);
