-- What members did up to a moment, in days of their gym's calendar: one place for the night's run and for the fit.
-- Visits come from visits_of_member and conversations from conversation_sessions_of_member, each from the index alone:
-- compared as rows, the moments are no range of visits_by_age, which reads the visits of all for each member wherever the
-- tables were never analysed.
-- Days in which a member was frozen, or the gym's readers were silent, do not count. Two swipes of one visit differ in
-- their day only around midnight. Where retention has taken visits, and none is newer than those that the last score was
-- made of, what that score knew counts.
select
    seen.days as "visits!",
    coalesce(
        case
            when paused.days is null then today.day - seen.first_on
            else active_days(seen.first_on, today.day, paused.days)
        end,
        0
    ) as "first_ago!",
    coalesce(
        case
            when paused.days is null then today.day - seen.last_on
            else active_days(seen.last_on, today.day, paused.days)
        end,
        0
    ) as "last_ago!",
    visited.recent as "recent!",
    seen.before as "before!",
    mood.conversations::int as "conversations!",
    mood.negative::int as "negative!",
    seen.first_on,
    seen.last_on
from unnest($1::uuid[], $2::text[]) with ordinality as m (id, timezone, place)
cross join lateral (
    select ($3::timestamptz at time zone m.timezone)::date as day
) as today
left join lateral pauses_of(m.id, m.timezone, today.day) as paused on true
left join lateral (
    select swipe.here::date as day
    from (
        select
            checked_in_at,
            checked_in_at at time zone m.timezone as here
        from visits
        where member_id = m.id
            and (member_id, checked_in_at) <= (m.id, $3)
            and (member_id, checked_in_at) > (m.id, $3 - interval '3 years')
    ) as swipe
    where swipe.here::time >= '00:01'
        or is_visit(swipe.checked_in_at, (
            select max(checked_in_at)
            from visits
            where member_id = m.id
                and checked_in_at < swipe.checked_in_at
        ))
    order by swipe.checked_in_at desc
    limit 1
) as latest on true
cross join lateral (
    select
        active_days_before(today.day, 28, paused.days) as recent,
        active_days_before(latest.day, 28, paused.days) as newest_before,
        active_days_before(latest.day, 84, paused.days) as before
    offset 0 -- once for each member
) as cut
cross join lateral (
    select
        count(*)::int as days,
        min(day) as first_on,
        count(*) filter (where day > cut.recent)::int as recent,
        count(*) filter (where day > cut.before and day <= cut.newest_before)::int as before
    from (
        select distinct swipe.here::date as day
        from (
            select
                checked_in_at,
                checked_in_at at time zone m.timezone as here
            from visits
            where member_id = m.id
                and (member_id, checked_in_at) <= (m.id, $3)
                and (member_id, checked_in_at) > (m.id, $3 - interval '3 years')
            offset 0 -- the calendar is asked once for each
        ) as swipe
        where swipe.here::time >= '00:01'
            or is_visit(swipe.checked_in_at, (
                select max(checked_in_at)
                from visits
                where member_id = m.id
                    and checked_in_at < swipe.checked_in_at
            ))
    ) as came
) as visited
left join lateral (
    select
        first_visit_on,
        last_visit_on,
        visit_days,
        visits_before
    from member_churn
    where member_id = m.id
        and scored_on <= today.day
    offset 0
) as known
    on known.visit_days > visited.days
    and (latest.day is null or latest.day <= known.last_visit_on)
    and not exists (
        select
        from members
        where id = m.id
            and joined_on > today.day
        offset 0
    )
cross join lateral (
    select
        coalesce(known.visit_days, visited.days) as days,
        coalesce(known.first_visit_on, visited.first_on) as first_on,
        case
            when known.visit_days is null then latest.day
            else greatest(known.last_visit_on, (
                select (last_contact_at at time zone m.timezone)::date
                from members
                where id = m.id
                    and last_contact_at <= $3
            ))
        end as last_on,
        coalesce(known.visits_before, visited.before) as before
) as seen
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
