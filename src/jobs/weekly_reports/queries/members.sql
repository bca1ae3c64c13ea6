-- Who joined, who left, and who was a member when the week ended. A former member counts as gone from the day of the
-- cancellation, or from the day after the membership ended; without either date, since ever. Frozen members are members.
select
    week.gym_id as "gym_id!",
    count(*) filter (where joined_on >= monday and joined_on < monday + 7) as "joined!",
    count(*) filter (where joined_on >= monday - 7 and joined_on < monday) as "joined_last!",
    count(*) filter (where left_on >= monday and left_on < monday + 7) as "gone!",
    count(*) filter (where left_on >= monday - 7 and left_on < monday) as "gone_last!",
    count(*) filter (where joined_on < monday + 7 and left_on >= monday + 7) as "members!",
    count(*) filter (where joined_on < monday and left_on >= monday) as "members_last!"
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
       as week (gym_id, timezone, last_starts, starts, ends, monday)
join members on members.gym_id = week.gym_id
cross join lateral (
    select
        case
            when status in ('active', 'frozen') then 'infinity'
            when status = 'expired' then
                coalesce(membership_ends_on + 1, (cancelled_at at time zone timezone)::date, '-infinity')
            else coalesce((cancelled_at at time zone timezone)::date, membership_ends_on + 1, '-infinity')
        end::date as left_on
) as fate
group by week.gym_id
