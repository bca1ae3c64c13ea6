-- The ten members of each gym most at risk on its last scored day: the gym calls them first. Members who have left since,
-- are frozen, object to being scored or were anonymised are left out.
select
    gym_id as "gym_id!",
    member_id as "member_id!",
    score as "score!",
    level as "level!"
from (
    select
        scored.gym_id,
        history.member_id,
        history.score,
        history.level,
        row_number() over (partition by scored.gym_id order by history.score desc, history.member_id) as place
    from unnest($1::uuid[], $2::boolean[], $3::date[]) as scored (gym_id, is_this, day)
    join member_churn_history as history
        on history.gym_id = scored.gym_id
        and history.scored_on = scored.day
    join churn_members as member
        on member.id = history.member_id
        and member.is_scored
    where scored.is_this
        and history.level in ('high', 'critical')
        and (member.frozen_until is null or member.frozen_until <= ($4::timestamptz at time zone member.timezone)::date)
) as ranked
where place <= 10
order by gym_id, place
