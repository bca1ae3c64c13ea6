-- Visits by half hour, and how many members came in the week and in the one before; of double swipes, is_visit counts one.
-- The day and the hour depend on the gym's time zone, and are worked out once for each half hour instead of once for each
-- visit. No zone shifts its clocks by less. Sent as two lists per gym: a row for each half hour would cost more to send and
-- to read than to count.
with swipe as (
    select
        week.gym_id,
        week.last_starts,
        week.starts,
        visits.member_id,
        visits.checked_in_at,
        lag(visits.checked_in_at) over (
            partition by week.gym_id, visits.member_id
            order by visits.checked_in_at
        ) as before
    from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
        as week (gym_id, timezone, last_starts, starts, ends, monday)
    join visits
        on visits.gym_id = week.gym_id
        and visits.checked_in_at >= week.last_starts - interval '1 minute'
        and visits.checked_in_at < week.ends
),
visit as materialized (
    select *
    from swipe
    where is_visit(checked_in_at, before)
        and checked_in_at >= last_starts
),
half_hours as (
    select
        gym_id,
        array_agg(half_hour) as half_hours,
        array_agg(visits) as visits
    from (
        select
            gym_id,
            date_bin('30 minutes', checked_in_at, last_starts) as half_hour,
            count(*) as visits
        from visit
        group by 1, 2
    ) as counted
    group by gym_id
),
visitors as (
    select
        gym_id,
        count(*) filter (where came) as this,
        count(*) filter (where came_last) as last
    from (
        select
            gym_id,
            bool_or(checked_in_at >= starts) as came,
            bool_or(checked_in_at < starts) as came_last
        from visit
        group by gym_id, member_id
    ) as visitor
    group by gym_id
)
select
    gym_id as "gym_id!",
    half_hours.half_hours as "half_hours!",
    half_hours.visits as "visits!",
    visitors.this as "this!",
    visitors.last as "last!"
from half_hours
join visitors using (gym_id)
