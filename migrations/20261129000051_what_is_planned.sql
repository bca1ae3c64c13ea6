-- A moment that has not come says nothing of the past, where the column tells of the past: a visit, a contact, an end. The last
-- day of a membership is a plan, and a plan that is still ahead keeps its member: they are one. Only what no membership is
-- sold for is a mistake. And a row whose end is a mistake still has a begin: it is dated by that.

-- A moment that tells of the past; null for one that has not come.
create function unless_ahead(at timestamptz)
returns timestamptz
language sql stable parallel safe
return case when not is_ahead(at) then at end;

-- The end of a membership; null where it lies further ahead than any is sold for.
create function planned_end(last_day date)
returns timestamptz
language sql stable parallel safe
return case when start_of(last_day) < now() + interval '5 years' then start_of(last_day) + interval '24 hours' end;

-- When a member was last in contact, or will be by plan. A moment that has not come says nothing of it, and is passed over:
-- else one of them would keep a member for ever. Null: nothing else is known.
create or replace view member_contacts as
select
    id,
    gym_id,
    status,
    coalesce(greatest(last_contact_at, cancelled_at), '-infinity'::timestamptz) as known_at, -- as `members_gone`
    coalesce(
        nullif(
            greatest(
                unless_ahead(last_contact_at),
                unless_ahead(cancelled_at),
                planned_end(membership_ends_on),
                (
                    select max(v.checked_in_at)
                    from visits v
                    where v.member_id = members.id
                        and v.checked_in_at <= now() + interval '1 day'
                ),
                (
                    select max(s.started_at)
                    from conversation_sessions s
                    where s.member_id = members.id
                        and s.started_at <= now() + interval '1 day'
                )
            ),
            '-infinity'
        ),
        greatest(unless_ahead(start_of(joined_on)), unless_ahead(created_at))
    ) as last_contact_at,
    coalesce(
        is_ahead(
            greatest(
                last_contact_at,
                cancelled_at,
                (select max(v.checked_in_at) from visits v where v.member_id = members.id),
                (select max(s.started_at) from conversation_sessions s where s.member_id = members.id)
            )
        ),
        false
    )
    or membership_ends_on is not null and planned_end(membership_ends_on) is null as has_moment_ahead
from members;
