-- no-transaction
-- cleanup-old-data: whom a row of conversation_sessions names, by any id and any word in it, found when that member is anonymised. Built
-- concurrently, because the table is written while it is built. What is
-- written is indexed at once: a list of it that waits would be read whole at each search, which no time-out ends.

create index concurrently conversation_sessions_by_trace
    on conversation_sessions
    using gin (
        uuids_in(metadata::text),
        words_in(metadata::text)
    ) with (fastupdate = off);
