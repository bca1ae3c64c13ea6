-- When a member was frozen, as far as it is known at a moment, in one place: what nights noted, and what nights have not
-- seen. Where the beginning was not seen, the freeze began after whatever is known last: the newest visit, or the newest
-- score, for who is frozen has none. Where the end was not seen, it is the date that the member's row names, the next
-- visit, or today.

create function freezes_of(member uuid, known_at timestamptz)
returns table (began_on date, ended_on date, is_settled boolean)
language sql
stable
parallel safe
begin atomic
    with judged as (
        select
            m.id,
            g.timezone,
            (known_at at time zone g.timezone)::date as today,
            m.joined_on,
            m.last_contact_at,
            -- The first day after the freeze, where the row names one.
            case when m.frozen_until > '0001-01-01' then least(m.frozen_until, '9999-12-31') end as until,
            m.status = 'frozen'
            or coalesce(m.frozen_until > (known_at at time zone g.timezone)::date, false) as is_frozen
        from members as m
        join gyms as g on g.id = m.gym_id
        where m.id = member
    ),
    noted as (
        select
            f.began_on,
            f.seen_on,
            f.ended_on
        from member_freezes as f
        cross join judged
        where f.member_id = member
            and f.began_on <= judged.today
    )
    select
        noted.began_on,
        case
            when noted.ended_on is not null then noted.ended_on
            when judged.is_frozen or noted.seen_on > judged.today then null
            when judged.until > noted.seen_on then judged.until
            else coalesce(
                (
                    select (min(v.checked_in_at) at time zone judged.timezone)::date
                    from visits as v
                    where v.member_id = member
                        and v.checked_in_at >= (noted.seen_on + 1)::timestamp at time zone judged.timezone
                        and v.checked_in_at <= known_at
                ),
                judged.today
            )
        end,
        noted.ended_on is not null
    from noted
    cross join judged
    union all
    select
        began.day,
        case when not judged.is_frozen then judged.until end,
        false
    from judged
    cross join lateral (
        select case when judged.is_frozen then judged.today else judged.until end as day
    ) as seen
    cross join lateral (
        select (max(v.checked_in_at) at time zone judged.timezone)::date as visited_on
        from visits as v
        where v.member_id = member
            and v.checked_in_at >= '0001-01-01 00:00:00+00'
            and v.checked_in_at < seen.day::timestamp at time zone judged.timezone
    ) as latest
    cross join lateral (
        select least(
            coalesce(
                greatest(
                    coalesce(
                        latest.visited_on,
                        (
                            select c.last_visit_on
                            from member_churn as c
                            where c.member_id = member
                                and c.last_visit_on < seen.day
                        ),
                        case
                            when judged.last_contact_at < seen.day::timestamp at time zone judged.timezone
                                then (nullif(judged.last_contact_at, '-infinity') at time zone judged.timezone)::date
                        end
                    ) + 1,
                    -- A member who was scored was not frozen. Of a past that no night saw, the row says more.
                    case
                        when judged.is_frozen then (
                            select max(h.scored_on)
                            from member_churn_history as h
                            where h.member_id = member
                                and h.scored_on <= judged.today
                        )
                    end
                ),
                case when isfinite(judged.joined_on) then judged.joined_on end,
                seen.day
            ),
            seen.day
        ) as day
    ) as began
    where (judged.is_frozen or judged.until <= judged.today)
        and not exists (
            select
            from noted
            where case
                when judged.is_frozen then noted.ended_on is null or noted.ended_on > judged.today
                else noted.began_on <= judged.until and (noted.ended_on is null or noted.ended_on >= judged.until)
            end
        )
        and (judged.is_frozen or began.day < judged.until);
end;
