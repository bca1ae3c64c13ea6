-- The ten members of each gym most at risk on its last scored day: the gym calls them first. Members who have left since,
-- are frozen, object to being scored or were anonymised are left out. Each gym's scores of the day are looked up, and each
-- of those members: joined otherwise, tables that were never analysed are read whole for every gym.
select
    scored.gym_id as "gym_id!",
    most.member_id as "member_id!",
    most.score as "score!",
    most.level as "level!"
from unnest($1::uuid[], $2::boolean[], $3::date[]) as scored (gym_id, is_this, day)
cross join lateral (
    select
        history.member_id,
        history.score,
        history.level
    from member_churn_history as history
    cross join lateral (
        select
        from churn_members as member
        where member.id = history.member_id
            and member.is_scored
            and (member.frozen_until is null or member.frozen_until <= ($4::timestamptz at time zone member.timezone)::date)
        limit 1
    ) as member
    where history.gym_id = scored.gym_id
        and history.scored_on = scored.day
        and history.level in ('high', 'critical')
    order by history.score desc, history.member_id
    limit 10
) as most
where scored.is_this
order by scored.gym_id, most.score desc, most.member_id
