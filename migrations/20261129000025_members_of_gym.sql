-- no-transaction
-- daily-churn-analysis, and the fit of a gym: some of its members, those who left among them.
create index concurrently members_of_gym
    on members (gym_id, id)
    where status in ('active', 'cancelled', 'expired');
