-- no-transaction
-- cleanup-old-data: whom a row of conversation_events names, by any id and any word in it, found when that member is anonymised. Built
-- concurrently, because the table is written while it is built.

create index concurrently conversation_events_by_trace
    on conversation_events
    using gin (
        uuids_in(coalesce(transcript, '') || ' ' || payload::text),
        words_in(coalesce(transcript, '') || ' ' || payload::text)
    );
