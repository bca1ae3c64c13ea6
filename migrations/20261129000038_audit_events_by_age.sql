-- no-transaction
-- cleanup-old-data: the oldest first.

create index concurrently audit_events_by_age
    on audit_events (occurred_at, id);
