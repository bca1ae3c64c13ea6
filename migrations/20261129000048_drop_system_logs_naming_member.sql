-- no-transaction
-- Replaced by system_logs_by_trace, which finds an id however it is written and wherever it stands.

drop index concurrently if exists system_logs_naming_member;
