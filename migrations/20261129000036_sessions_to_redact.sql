-- no-transaction
-- cleanup-old-data: sessions not yet redacted, by their end, or by their begin where they broke off without one.

create index concurrently conversation_sessions_to_redact_by_sign
    on conversation_sessions ((coalesce(ended_at, started_at)), id)
    where redacted_at is null;
