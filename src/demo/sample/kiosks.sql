-- Sample data: kiosks.
-- `silent_for` is how long ago a kiosk was last heard, null meaning never; a negative one comes from a clock set wrong.

create table demo.devices as
select
    house.gym_id,
    demo.id('kiosk ' || house.g || '/' || spec.k) as kiosk_id,
    lower(replace(house.town || house.suffix, ' ', '-')) || '-' || spec.k as slug,
    interval '20 seconds' * demo.chance('phase ' || house.g || '/' || spec.k) as phase,
    spec.*
from demo.houses as house
join (
    values
        (1, 1, 'Accueil', 'online', interval '12 seconds', interval '400 days'),
        (1, 2, 'Plateau cardio', 'online', '20 seconds', '400 days'),
        (1, 3, 'Musculation', 'online', '12 minutes', '300 days'),
        (1, 4, 'Vestiaires', 'maintenance', '2 days', '300 days'),
        (1, 5, 'Ancien accueil', 'retired', '90 days', '900 days'),
        (1, 6, 'Studio', 'pending_approval', null, '3 hours'),
        (2, 1, 'Front desk', 'online', '9 seconds', '500 days'),
        (2, 2, 'Cardio', 'online', '25 seconds', '500 days'),
        (2, 3, 'Weights', 'online', '3 hours', '500 days'), -- went silent
        (2, 4, 'Stretching', 'offline', '15 seconds', '500 days'), -- came back
        (2, 5, 'Studio', 'degraded', '9 minutes', '200 days'),
        (2, 6, 'Boxing', 'online', null, '3 days'), -- never seen
        (2, 7, 'Storage', 'provisioning', null, '2 hours'),
        (3, 1, 'Accueil', 'online', '14 seconds', '250 days'),
        (3, 2, 'Terrasse', 'online', '8 seconds', '250 days'),
        (3, 3, 'Cardio', 'online', '-2 hours', '250 days'), -- its clock runs ahead
        (3, 4, 'Musculation', 'offline', '4 days', '250 days'), -- down for days
        (3, 5, 'Vestiaires', 'online', '17 seconds', '60 days')
) as spec (kind, k, name, status, silent_for, age) on spec.kind = house.kind;

insert into kiosks
    (id, gym_id, slug, name, status, last_heartbeat_at, status_since, maintenance_until, software_version, created_at,
     updated_at)
select
    kiosk_id,
    gym_id,
    slug,
    name,
    status,
    case when silent_for < interval '0' then now() - silent_for end, -- the others follow from their heartbeats
    case when status = 'offline' then now() - interval '4 days' else now() - age end,
    case when status = 'maintenance' then now() + interval '1 day' end,
    case when silent_for is not null then demo.pick(array['2.4.1', '2.4.1', '2.3.7'], 'version ' || slug) end,
    now() - age,
    now()
from demo.devices;

-- When each gym was open in the last three weeks.
create table demo.shifts as
select
    gym.id as gym_id,
    ago,
    (day + opens) at time zone gym.timezone as opens,
    (day + closes + case when closes <= opens then interval '1 day' else interval '0' end) at time zone gym.timezone
        as closes
from gyms as gym
cross join generate_series(0, 22) as ago
cross join lateral (select (now() at time zone gym.timezone)::date - ago as day) as dated
cross join lateral jsonb_array_elements(
    case
        when gym.opening_hours is null then '[["00:00", "00:00"]]'
        else gym.opening_hours -> to_char(day, 'dy')
    end
) as span
cross join lateral (select (span ->> 0)::time as opens, (span ->> 1)::time as closes) as hours;

-- A heartbeat for every five minutes of them, but for one half hour in a hundred, which was lost. What a report calls
-- uptime comes from here.
insert into kiosk_heartbeats (kiosk_id, received_at, sent_at, metrics)
select
    kiosk_id,
    beat,
    beat + case when silent_for < interval '0' then -silent_for else interval '-1 second' end,
    case
        when beat > now() - interval '1 day' then
            jsonb_build_object(
                'cpu', 15 + floor(40 * demo.chance('cpu ' || slug || ' ' || tick))::int,
                'memory', 40 + floor(20 * demo.chance('memory ' || slug || ' ' || tick))::int
            )
        else '{}'
    end
from demo.shifts
join demo.devices using (gym_id)
cross join lateral generate_series(0, extract(epoch from closes - opens)::int / 300 - 1) as tick
cross join lateral (select opens + tick * interval '5 minutes' + phase as beat) as placed
where silent_for is not null
    and beat > now() - least(age, interval '22 days')
    and beat < now() - greatest(silent_for, interval '0')
    and demo.chance('lost ' || slug || ' ' || ago || ' ' || tick / 6) > 0.01
    -- The one that came back had been away for two days.
    and not (
        status = 'offline'
        and silent_for < interval '1 hour'
        and beat between now() - interval '2 days' and now() - interval '20 minutes'
    );

-- The last word of each kiosk that is to be heard now or was until lately.
insert into kiosk_heartbeats (kiosk_id, received_at, sent_at)
select
    kiosk_id,
    now() - silent_for,
    now() - silent_for
from demo.devices
where silent_for >= interval '0';

-- A day of heartbeats that is past its keeping.
insert into kiosk_heartbeats (kiosk_id, received_at, sent_at)
select
    kiosk_id,
    beat,
    beat
from demo.devices
cross join generate_series(now() - interval '36 days', now() - interval '35 days', interval '5 minutes') as beat
where k = 1;

update kiosks
set last_heartbeat_at = heard.at
from (select kiosk_id, max(received_at) as at from kiosk_heartbeats group by kiosk_id) as heard
where heard.kiosk_id = kiosks.id
    and kiosks.last_heartbeat_at is null;
