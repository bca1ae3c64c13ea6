-- no-transaction
-- cleanup-old-data: whom a row of alerts names, by any id and any word in it, found when that member is anonymised. Built
-- concurrently, because the table is written while it is built.

create index concurrently alerts_by_trace
    on alerts
    using gin (
        uuids_in(title || ' ' || details::text || ' ' || recommended_actions::text),
        words_in(title || ' ' || details::text || ' ' || recommended_actions::text)
    );
