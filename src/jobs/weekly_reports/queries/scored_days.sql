-- The last day of each of the two weeks on which the gym's members were scored: Sunday, unless that night was missed.
select
    week.gym_id as "gym_id!",
    weeks_back = 0 as "is_this!",
    scored.day as "day!"
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
       as week (gym_id, timezone, last_starts, starts, ends, monday)
cross join generate_series(0, 1) as weeks_back
cross join lateral (
    select week.monday - 7 * weeks_back + 6 - days_back as day
    from generate_series(0, 6) as days_back
    where exists (
        select
        from member_churn_history as history
        where history.gym_id = week.gym_id
            and history.scored_on = week.monday - 7 * weeks_back + 6 - days_back
    )
    order by days_back
    limit 1
) as scored
