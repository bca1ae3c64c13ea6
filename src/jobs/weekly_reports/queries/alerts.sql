-- Alerts that were open when the week ended, and when the week before ended.
select
    week.gym_id as "gym_id!",
    count(*) filter (where opened_at < ends and until >= ends) as "this!",
    count(*) filter (where opened_at < starts and until >= starts) as "last!"
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
       as week (gym_id, timezone, last_starts, starts, ends, monday)
join alerts
    on alerts.gym_id = week.gym_id
    and alerts.opened_at < week.ends
cross join lateral (
    select
        case
            when alerts.status in ('open', 'acknowledged') then 'infinity'
            else coalesce(alerts.resolved_at, alerts.last_seen_at)
        end as until
) as ended
group by week.gym_id
