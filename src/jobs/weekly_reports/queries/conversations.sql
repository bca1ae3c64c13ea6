-- Conversations with the assistant that began in the week and in the one before. The mean is taken of exact numbers,
-- so that it does not depend on the order in which they are read.
select
    week.gym_id as "gym_id!",
    count(*) filter (where started_at >= starts) as "this!",
    count(*) filter (where started_at < starts) as "last!",
    (avg(sentiment_score::numeric) filter (where started_at >= starts))::float8 as mood,
    (avg(sentiment_score::numeric) filter (where started_at < starts))::float8 as mood_last,
    count(*) filter (where started_at >= starts and sentiment = 'positive') as "positive!",
    count(*) filter (where started_at >= starts and sentiment = 'neutral') as "neutral!",
    count(*) filter (where started_at >= starts and sentiment = 'negative') as "negative!",
    count(*) filter (where started_at >= starts and sentiment = 'mixed') as "mixed!"
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
       as week (gym_id, timezone, last_starts, starts, ends, monday)
join conversation_sessions
    on conversation_sessions.gym_id = week.gym_id
    and started_at >= last_starts
    and started_at < ends
group by week.gym_id
