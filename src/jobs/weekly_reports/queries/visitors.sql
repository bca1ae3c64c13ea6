-- How many members came, in the week and in the one before.
select
    gym_id as "gym_id!",
    count(*) filter (where came) as "this!",
    count(*) filter (where came_last) as "last!"
from (
    select
        week.gym_id,
        bool_or(visits.checked_in_at >= week.starts) as came,
        bool_or(visits.checked_in_at < week.starts) as came_last
    from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
       as week (gym_id, timezone, last_starts, starts, ends, monday)
    join visits
        on visits.gym_id = week.gym_id
        and visits.checked_in_at >= week.last_starts
        and visits.checked_in_at < week.ends
    group by week.gym_id, visits.member_id
) as visitor
group by gym_id
