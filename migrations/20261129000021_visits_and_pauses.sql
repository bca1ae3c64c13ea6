-- A badge reader may fire twice, and time in which a member could not come, or in which nothing would have shown it, is no
-- absence. What a visit is, and which days do not count, is defined here once for every reader. `members` says who is
-- frozen now and not who was, and retention takes the visits around a gap, so each night notes what it sees.

-- A swipe begins a visit unless the same member swiped within the minute before. Stable, so that it is inlined.
create function is_visit(swiped_at timestamptz, swiped_before timestamptz)
returns boolean
language sql
stable
parallel safe
return coalesce(swiped_before < swiped_at - interval '1 minute', true);

-- The days from one date to another, without those in `paused`.
create function active_days(since date, until date, paused datemultirange)
returns int
language sql
immutable
parallel safe
return until - since - case
    when paused is null or since >= until then 0
    else (
        select coalesce(sum(upper(pause) - lower(pause)), 0)::int
        from unnest(paused * datemultirange(daterange(since + 1, until + 1))) as pause
    )
end;

-- The newest date from which at least so many days that count lead to `until`; or one before which no visit is read.
create function active_days_before(until date, count int, paused datemultirange)
returns date
language plpgsql
immutable
parallel safe
as $$
declare
    since date := until - count;
    missing int;
begin
    if paused is not null then
        loop
            missing := count - active_days(since, until, paused);
            exit when missing <= 0 or missing is null or since < until - 1500;
            since := since - missing;
        end loop;
    end if;
    return since;
end $$;

-- One freeze of a member. No foreign key: cascading, it would be a way to lose rows, and without, a deletion would fail.
create table member_freezes (
    member_id uuid not null,
    began_on date not null, -- the first day, as far as it is known
    ended_on date, -- the first day after it; null while it lasts
    primary key (member_id, began_on),
    constraint member_freezes_end_after_they_begin
        check (isfinite(began_on) and ended_on >= began_on)
);

-- daily-churn-analysis: the freezes that may have ended since.
create index member_freezes_open
    on member_freezes (member_id)
    where ended_on is null;

-- Days on which a gym had hardly a visit, where its weeks before say that many were to be expected.
create table visit_silences (
    gym_id uuid not null references gyms,
    began_on date not null, -- the first such day
    ended_on date, -- the day on which visits came again; null while they have not
    usual_per_day real not null, -- visits to be expected on one of these days
    primary key (gym_id, began_on),
    constraint visit_silences_end_after_they_begin
        check (isfinite(began_on) and ended_on >= began_on)
);

-- How far the mean score of the default is from what a gym's members do, in log-odds; found anew each week.
create table churn_offsets (
    gym_id uuid not null references gyms,
    found_on date not null,
    log_odds double precision not null,
    predictions int not null, -- members and moments that it is found from
    primary key (gym_id, found_on),
    constraint churn_offsets_are_small
        check (abs(log_odds) <= 2)
);

-- The days up to `today` that are no absence of a member: freezes that a night has noted, a freeze that no night has seen
-- but that the member's row names the end of (it began after the last visit before, if one is known), and silences of the
-- gym. An end at or before the beginning of a freeze is that of an older one; who comes is not frozen any more.
create function pauses_of(member uuid, zone text, today date)
returns table (days datemultirange)
language sql
stable
parallel safe
as $$
    select (
        select range_agg(pause.during)
        from (
            select daterange(f.began_on, greatest(f.began_on, least(
                coalesce(
                    f.ended_on,
                    case when m.frozen_until > f.began_on then least(m.frozen_until, today) else today end
                ),
                (
                    select (min(v.checked_in_at) at time zone zone)::date
                    from visits as v
                    where v.member_id = m.id
                        and (v.member_id, v.checked_in_at) >= (m.id, (f.began_on + 1)::timestamp at time zone zone)
                        and (v.member_id, v.checked_in_at) < (m.id, 'infinity'::timestamptz)
                )
            ))) as during
            from member_freezes as f
            where f.member_id = m.id
                and f.began_on <= today
            union all
            select daterange(s.began_on, greatest(s.began_on, coalesce(s.ended_on, today + 1)))
            from visit_silences as s
            where s.gym_id = m.gym_id
                and s.began_on <= today
            union all
            select daterange(last.day + 1, greatest(last.day + 1, m.frozen_until))
            from (
                select greatest(
                    (
                        select (max(v.checked_in_at) at time zone zone)::date
                        from visits as v
                        where v.member_id = m.id
                            and (v.member_id, v.checked_in_at) >= (m.id, '0001-01-01 00:00:00+00'::timestamptz)
                            and (v.member_id, v.checked_in_at) < (
                                m.id,
                                greatest('1900-01-01', least(m.frozen_until, today))::timestamp at time zone zone
                            )
                    ),
                    (
                        select c.last_visit_on
                        from member_churn as c
                        where c.member_id = m.id
                            and c.last_visit_on < m.frozen_until
                    )
                ) as day
                offset 0 -- once
            ) as last
            where m.frozen_until between '1900-01-01' and today
                and last.day is not null
                and not exists (
                    select
                    from member_freezes as f
                    where f.member_id = m.id
                        and f.began_on <= m.frozen_until
                        and (f.ended_on is null or f.ended_on >= m.frozen_until)
                )
        ) as pause
    )
    from members as m
    where m.id = member
    offset 0 -- looked up by its key, one by one, whatever the planner believes
$$;

-- It is called by whatever session deletes a member.
create or replace function forget_scores_of_the_deleted()
returns trigger
language plpgsql
set search_path from current
as $$
begin
    delete from member_churn_history
     where member_id in (select id from gone);
    delete from member_freezes
     where member_id in (select id from gone);
    return null;
end $$;
