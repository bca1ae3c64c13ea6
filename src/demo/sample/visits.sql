-- Sample data: visits.
-- One draw for each member and day of the last half year. Days and hours are those of the gym.

insert into visits (gym_id, member_id, checked_in_at, checked_out_at, source)
select
    gym_id,
    member_id,
    checked_in_at,
    checked_in_at + interval '45 minutes' + interval '55 minutes' * demo.chance('stay ' || key || ' ' || ago),
    case when demo.chance('source ' || key || ' ' || ago) < 0.93 then 'badge' else 'kiosk' end
from demo.people
cross join lateral generate_series(days_broken * (sort <> 'fading')::int, least(days_in, 182)) as ago
cross join lateral (select here::date - ago as day) as dated
cross join lateral (select extract(isodow from day)::int as weekday) as dow
cross join lateral (
    select
        case
            -- Thrice a week, on days of one's own.
            when sort in ('regular', 'veteran', 'opted out') then
                case when (weekday + m) % 7 in (0, 2, 4) then 0.88 else 0.06 end
            -- Once, with a second time now and then.
            when sort in ('weekly', 'gone', 'cancelled', 'expired') then
                case when (weekday + m) % 7 = 0 then 0.82 else 0.05 end
            when sort = 'fading' then
                case
                    when (weekday + m) % 7 not in (0, 2, 4) then 0.02
                    when ago > days_broken then 0.85
                    else greatest(0, 0.85 * (ago - days_broken * 0.4) / (days_broken * 0.6))
                end
            when sort = 'frozen' then case when ago < 20 then 0 else 0.2 end
            when sort = 'new' then case when m % 3 = 0 then 0 else 0.35 end
            else 0
        end as likely
) as rhythm
cross join lateral (
    select
        -- Early, at noon or after work, as it suits the member; on Saturdays and Sundays in the morning.
        (
            day
            + case
                when weekday >= 6 then interval '9 hours 30 minutes'
                else make_interval(hours => (array[7, 12, 12, 17, 18, 18, 18, 19])[1 + m % 8])
            end
            + interval '80 minutes' * demo.chance('hour ' || key || ' ' || ago)
        ) at time zone timezone as checked_in_at
) as placed
where demo.chance('visit ' || key || ' ' || ago) < likely
    and (kind <> 3 or weekday < 7) -- closed on Sundays
    and checked_in_at < now();

-- Visits of more than three years ago: of the veterans, who stay, and of those who are long gone.
insert into visits (gym_id, member_id, checked_in_at, checked_out_at, source)
select
    gym_id,
    member_id,
    checked_in_at,
    checked_in_at + interval '70 minutes',
    'import'
from demo.people
cross join generate_series(0, 11) as i
cross join lateral (
    select (here::date - 1110 - i * 7 + time '18:10') at time zone timezone as checked_in_at
) as placed
where sort in ('veteran', 'long gone');
