-- no-transaction
-- Replaced by audit_events_by_trace, which finds an id however it is written and wherever it stands.

drop index concurrently if exists audit_events_naming_member;
