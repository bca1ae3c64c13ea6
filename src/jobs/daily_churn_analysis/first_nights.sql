-- Which of the gyms $1, whose dates are $2, have their first night at $3. By index and gym by gym: where a gym is scored
-- every night, the first look finds the night before. The rows of members are asked too, since a history may be kept for
-- a few days only; history is, since those rows are of this day at the end of every night.
select gym.id as "id!"
from unnest($1::uuid[], $2::date[]) as gym (id, day)
where not (
    exists (
        select
        from generate_series(1, 400) as back
        where exists (
            select
            from member_churn_history as h
            where h.scored_on = gym.day - back
                and h.gym_id = gym.id
            offset 0
        )
        offset 0
    )
    or exists (
        select
        from members as m
        where m.gym_id = gym.id
            and (m.gym_id, m.id) >= (gym.id, '00000000-0000-0000-0000-000000000000')
            and m.status in ('active', 'cancelled', 'expired')
            and exists (
                select
                from member_churn as c
                where c.member_id = m.id
                    and c.gym_id = gym.id
                    and c.scored_on < gym.day
                offset 0
            )
        offset 0
    )
)
or coalesce((
    select a.details @> '{"all_scored": false}'
    from alerts as a
    where a.gym_id = gym.id
        and a.kind = 'churn_first_night'
        and a.opened_at between $3::timestamptz - interval '7 days' and $3
    order by a.opened_at desc
    limit 1
), false)
