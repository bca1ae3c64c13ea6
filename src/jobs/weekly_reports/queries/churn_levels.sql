-- Members at each level of risk on a day.
select
    scored.gym_id as "gym_id!",
    scored.is_this as "is_this!",
    count(*) filter (where history.level = 'low') as "low!",
    count(*) filter (where history.level = 'medium') as "medium!",
    count(*) filter (where history.level = 'high') as "high!",
    count(*) filter (where history.level = 'critical') as "critical!"
from unnest($1::uuid[], $2::boolean[], $3::date[]) as scored (gym_id, is_this, day)
join member_churn_history as history
    on history.gym_id = scored.gym_id
    and history.scored_on = scored.day
group by 1, 2
