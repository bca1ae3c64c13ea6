-- no-transaction
-- Replaced by member_churn_history_owed.

drop index concurrently if exists member_churn_history_open;
