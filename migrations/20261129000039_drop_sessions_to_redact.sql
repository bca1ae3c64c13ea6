-- no-transaction
-- Replaced by conversation_sessions_to_redact_by_sign.

drop index concurrently if exists conversation_sessions_to_redact;
