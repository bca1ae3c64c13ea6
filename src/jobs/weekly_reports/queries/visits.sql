-- Visits by half hour: the day and the hour depend on the gym's time zone, and are worked out once for each half hour
-- instead of once for each visit. No zone shifts its clocks by less. Sent as two lists per gym: a row for each half hour
-- would cost more to send and to read than to count.
select
    gym_id as "gym_id!",
    array_agg(half_hour) as "half_hours!",
    array_agg(visits) as "visits!"
from (
    select
        week.gym_id,
        date_bin('30 minutes', visits.checked_in_at, week.last_starts) as half_hour,
        count(*) as visits
    from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
        as week (gym_id, timezone, last_starts, starts, ends, monday)
    join visits
        on visits.gym_id = week.gym_id
        and visits.checked_in_at >= week.last_starts
        and visits.checked_in_at < week.ends
    group by 1, 2
) as half_hours
group by gym_id
