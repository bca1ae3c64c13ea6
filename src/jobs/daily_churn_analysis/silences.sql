-- Days of the last sixty, in a row and at least three, on which a gym had no visit and by the four weeks before at least
-- twenty were to be expected, of at least ten members. Days of a week on which none came in those weeks do not count: a gym
-- that is closed on Sundays is not silent. For some gyms by keyset; each day is one look into visits_of_gym.
with gym as materialized (
    select
        g.id,
        g.timezone,
        ($1::timestamptz at time zone g.timezone)::date as today
    from gyms as g
    where g.status <> 'cancelled'
        and ($2::uuid is null or g.id = $2)
        and ($3::uuid is null or g.id > $3)
    order by g.id
    limit $4
),
-- Today ends the days in a row too, whether visits have come again or not.
came as materialized (
    select
        gym.*,
        day.day,
        visit.at is not null as is_open
    from gym
    cross join lateral (
        select gym.today - ago as day
        from generate_series(0, 60) as ago
    ) as day
    left join lateral (
        select v.checked_in_at as at
        from visits as v
        where v.gym_id = gym.id
            and v.checked_in_at >= day.day::timestamp at time zone gym.timezone
            and v.checked_in_at < (day.day + 1)::timestamp at time zone gym.timezone
            and v.checked_in_at <= $1
        order by v.checked_in_at
        limit 1
    ) as visit on true
    where visit.at is not null
        or day.day = gym.today
),
gap as materialized (
    select
        bound.id,
        bound.timezone,
        last.day + 1 as began_on,
        bound.day as ended_on,
        bound.is_open
    from (
        select
            *,
            lag(day) over (partition by id order by day) as previous
        from came
    ) as bound
    cross join lateral (
        select coalesce(bound.previous, (
            select (max(v.checked_in_at) at time zone bound.timezone)::date
            from visits as v
            where v.gym_id = bound.id
                and v.checked_in_at < bound.day::timestamp at time zone bound.timezone
                and v.checked_in_at > $1 - interval '3 years'
        )) as day
        offset 0
    ) as last
    where bound.day - last.day > 3
),
expected as (
    select
        gap.*,
        usual.visits,
        usual.days
    from gap
    cross join lateral (
        select
            sum(weekday.visits * weekday.silent) / 4.0 as visits,
            sum(weekday.silent) as days,
            (
                select count(distinct v.member_id)
                from visits as v
                where v.gym_id = gap.id
                    and v.checked_in_at >= (gap.began_on - 28)::timestamp at time zone gap.timezone
                    and v.checked_in_at < gap.began_on::timestamp at time zone gap.timezone
            ) as members
        from (
            select
                count(*) as visits,
                (gap.ended_on - gap.began_on) / 7 + (
                    (day.weekday - extract(isodow from gap.began_on)::int + 7) % 7 < (gap.ended_on - gap.began_on) % 7
                )::int as silent
            from (
                select
                    v.checked_in_at,
                    lag(v.checked_in_at) over (partition by v.member_id order by v.checked_in_at) as before
                from visits as v
                where v.gym_id = gap.id
                    and v.checked_in_at >= (gap.began_on - 28)::timestamp at time zone gap.timezone
                    and v.checked_in_at < gap.began_on::timestamp at time zone gap.timezone
            ) as swipe
            cross join lateral (
                select extract(isodow from swipe.checked_in_at at time zone gap.timezone)::int as weekday
            ) as day
            where is_visit(swipe.checked_in_at, swipe.before)
            group by day.weekday
        ) as weekday
    ) as usual
    where usual.visits >= 20
        and usual.days >= 3
        and usual.members >= 10
),
noted as (
    insert into visit_silences (gym_id, began_on, ended_on, usual_per_day)
    select
        id,
        began_on,
        case when is_open then ended_on end,
        visits / days
    from expected
    order by id, began_on
    on conflict (gym_id, began_on) do nothing
)
select id as "id!"
from gym
order by id
