-- The five topics that came up in most conversations of the week; a topic counts once in each.
select
    gym_id as "gym_id!",
    topic as "topic!",
    conversations as "conversations!"
from (
    select
        week.gym_id,
        topic,
        count(distinct session.id) as conversations,
        row_number() over (partition by week.gym_id order by count(distinct session.id) desc, topic collate "C") as place
    from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
       as week (gym_id, timezone, last_starts, starts, ends, monday)
    join conversation_sessions as session
        on session.gym_id = week.gym_id
        and session.started_at >= week.starts
        and session.started_at < week.ends
    cross join lateral (select left(word, 80) as topic from unnest(session.topics) as word) as named
    where topic <> ''
    group by week.gym_id, topic
) as ranked
where place <= 5
order by gym_id, place
