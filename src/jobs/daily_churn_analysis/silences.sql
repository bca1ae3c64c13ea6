-- How many members came to some gyms, by keyset, on which days of their calendars: of the last sixty, or since the last
-- visit, and of as many before as are asked for. From visits_of_gym alone, by rows, so that
-- visits_by_age is of no use; a gym without visits is a row too.
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
)
select
    gym.id as "id!",
    gym.today as "today!",
    came.day as "day?",
    came.members as "members?"
from gym
cross join lateral (
    select least(gym.today - 60, (max(v.checked_in_at) at time zone gym.timezone)::date) - $5::int as since
    from visits as v
    where v.gym_id = gym.id
        and (v.gym_id, v.checked_in_at) <= (gym.id, $1)
        and (v.gym_id, v.checked_in_at) > (gym.id, $1 - interval '3 years')
    offset 0
) as bound
left join lateral (
    select
        visit.day,
        count(distinct visit.member_id)::int as members
    from (
        select
            (v.checked_in_at at time zone gym.timezone)::date as day,
            v.member_id
        from visits as v
        where v.gym_id = gym.id
            and (v.gym_id, v.checked_in_at) >= (gym.id, bound.since::timestamp at time zone gym.timezone)
            and (v.gym_id, v.checked_in_at) <= (gym.id, $1)
        offset 0
    ) as visit
    group by visit.day
) as came on true
order by gym.id, came.day
