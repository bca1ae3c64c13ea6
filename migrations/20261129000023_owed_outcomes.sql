-- no-transaction
-- daily-churn-analysis: predictions whose outcome is still owed, without those that can have none. Built beside the index
-- that it replaces.

create index concurrently if not exists member_churn_history_owed
    on member_churn_history (scored_on)
    where outcome is null and score is not null and not has_no_outcome;
