-- What members did up to a moment, in days of their gym's calendar: one place for the night's run and for the fit.
-- Visits come from visits_of_member and conversations from conversation_sessions_of_member, each from the index alone.
-- Two swipes of one visit differ in their day only around midnight. Where retention has taken visits, and none is newer
-- than those the last score was made of, what that score knew counts.
with pauses as materialized (
    select
        place,
        range_agg(daterange(began_on, ended_on)) as paused
    from unnest($10::bigint[], $11::date[], $12::date[]) as pause (place, began_on, ended_on)
    group by place
)
select
    today.day as "seen_on!",
    seen.days as "visits!",
    seen.first_on,
    seen.last_on,
    coalesce(active_days(seen.first_on, today.day, pauses.paused), 0) as "first_ago!",
    coalesce(active_days(seen.last_on, today.day, pauses.paused), 0) as "last_ago!",
    coalesce(today.day - seen.last_on, 0) as "last_ago_in_all!",
    visited.recent as "recent!",
    seen.before as "before!",
    mood.conversations::int as "conversations!",
    mood.negative::int as "negative!",
    active_days(m.joined_on, today.day, pauses.paused) as joined_ago,
    memory.is_needed as "is_remembered!"
from unnest(
    $1::uuid[], $2::text[], $3::timestamptz[], $4::date[], $5::date[], $6::date[], $7::int[], $8::int[], $9::bigint[]
) as m (id, timezone, at, joined_on, known_first, known_last, known_days, known_before, place)
left join pauses on pauses.place = m.place
cross join lateral (
    select (m.at at time zone m.timezone)::date as day
) as today
left join lateral (
    select swipe.here::date as day
    from (
        select
            checked_in_at,
            checked_in_at at time zone m.timezone as here
        from visits
        where member_id = m.id
            and checked_in_at <= m.at
            and checked_in_at > m.at - interval '3 years'
    ) as swipe
    where swipe.here::time > '00:01' or begins_visit(m.id, swipe.checked_in_at)
    order by swipe.checked_in_at desc
    limit 1
) as latest on true
cross join lateral (
    select
        count(*)::int as days,
        min(day) as first_on,
        count(*) filter (
            where case
                when pauses.paused is null then day > today.day - 28
                else active_days(day, today.day, pauses.paused) < 28
            end
        )::int as recent,
        count(*) filter (
            where case
                when pauses.paused is null then day > latest.day - 84 and day <= latest.day - 28
                else active_days(day, latest.day, pauses.paused) between 28 and 83
            end
        )::int as before
    from (
        select distinct swipe.here::date as day
        from (
            select
                checked_in_at,
                checked_in_at at time zone m.timezone as here
            from visits
            where member_id = m.id
                and checked_in_at <= m.at
                and checked_in_at > m.at - interval '3 years'
            offset 0 -- the calendar is asked once for each
        ) as swipe
        where swipe.here::time > '00:01' or begins_visit(m.id, swipe.checked_in_at)
    ) as came
) as visited
cross join lateral (
    select
        coalesce((latest.day is null or latest.day = m.known_last) and m.known_days > visited.days, false) as is_needed
) as memory
cross join lateral (
    select
        case when memory.is_needed then m.known_days else visited.days end as days,
        case when memory.is_needed then m.known_first else visited.first_on end as first_on,
        case when memory.is_needed then m.known_last else latest.day end as last_on,
        case when memory.is_needed then m.known_before else visited.before end as before
) as seen
cross join lateral (
    select
        count(*) as conversations,
        count(*) filter (where sentiment = 'negative') as negative
    from conversation_sessions
    where member_id = m.id
        and started_at <= m.at
        and started_at > m.at - interval '90 days'
        and sentiment is not null
) as mood
order by m.place
