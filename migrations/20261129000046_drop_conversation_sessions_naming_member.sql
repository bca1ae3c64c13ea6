-- no-transaction
-- Replaced by conversation_sessions_by_trace, which finds an id however it is written and wherever it stands.

drop index concurrently if exists conversation_sessions_naming_member;
