-- no-transaction
-- cleanup-old-data: whom a row of conversation_sessions names, by any id and any word in it, found when that member is anonymised. Built
-- concurrently, because the table is written while it is built.

create index concurrently conversation_sessions_by_trace
    on conversation_sessions
    using gin (
        uuids_in(metadata::text),
        words_in(metadata::text)
    );
