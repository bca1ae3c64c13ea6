-- What members did up to a moment, in days of their gym's calendar: one place for the night's run and for the fit.
-- Visits come from visits_of_member and conversations from conversation_sessions_of_member, each from the index alone.
select
    coalesce(rhythm.visits, 0)::int as "visits!",
    coalesce(today.day - rhythm.first, 0) as "first_ago!",
    coalesce(today.day - latest.day, 0) as "last_ago!",
    coalesce(rhythm.recent, 0)::int as "recent!",
    coalesce(rhythm.before, 0)::int as "before!",
    mood.conversations::int as "conversations!",
    mood.negative::int as "negative!",
    null::int as joined_ago,
    null::int as ends_in
from unnest($1::uuid[], $2::text[]) with ordinality as m (id, timezone, place)
cross join lateral (
    select ($3::timestamptz at time zone m.timezone)::date as day
) as today
cross join lateral (
    select (max(checked_in_at) at time zone m.timezone)::date as day
    from visits
    where member_id = m.id
        and checked_in_at <= $3
        and checked_in_at > $3 - interval '3 years'
) as latest
cross join lateral (
    select
        count(*) as visits,
        min(day) as first,
        count(*) filter (where day > today.day - 28) as recent,
        count(*) filter (where day > latest.day - 84 and day <= latest.day - 28) as before
    from (
        select distinct (checked_in_at at time zone m.timezone)::date as day
        from visits
        where member_id = m.id
            and checked_in_at <= $3
            and checked_in_at > $3 - interval '3 years'
    ) as came
) as rhythm
cross join lateral (
    select
        count(*) as conversations,
        count(*) filter (where sentiment = 'negative') as negative
    from conversation_sessions
    where member_id = m.id
        and started_at <= $3
        and started_at > $3 - interval '90 days'
        and sentiment is not null
) as mood
order by m.place
