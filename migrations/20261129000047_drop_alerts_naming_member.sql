-- no-transaction
-- Replaced by alerts_by_trace, which finds an id however it is written and wherever it stands.

drop index concurrently if exists alerts_naming_member;
