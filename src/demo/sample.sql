-- Sample data for an empty, migrated database: three gyms and a shop, with work for every job.
-- Run once. The caller says how much: select set_config('demo.scale', '1', false).
-- Every time is relative to now(), and every choice hangs on a hash of the row's own number: two runs differ by the
-- clock only.

set local jit = off; -- compiling these statements takes longer than running them

create schema demo;

-- A number in [0, 1) that depends on nothing but its key.
create function demo.chance(key text)
returns double precision
language sql immutable parallel safe
as $$ select (hashtextextended(key, 42) & 1073741823) / 1073741824::double precision $$;

-- An id that depends on nothing but its key, so that rows can refer to each other without being looked up.
create function demo.id(key text)
returns uuid
language sql immutable parallel safe
as $$ select md5(key)::uuid $$;

-- One of several.
create function demo.pick(choices text[], key text)
returns text
language sql immutable parallel safe
as $$ select choices[1 + floor(demo.chance(key) * cardinality(choices))::int] $$;


-- The shop: stock -----------------------------------------------------------------------------------------------------

insert into stock_levels (id, sku, location, on_hand)
select
    demo.id('stock ' || depot || ' ' || item),
    'SKU-' || lpad((item + 1)::text, 3, '0'),
    'depot-' || depot,
    120 + floor(demo.chance('on hand ' || depot || ' ' || item) * 200)::int
from generate_series(1, current_setting('demo.scale')::int) as depot
cross join generate_series(0, 39) as item;


-- The shop: orders ----------------------------------------------------------------------------------------------------
-- 320 orders for each unit of scale. The place in those 320 says what becomes of an order:
--     1 -  90  stale, without an intent          241 - 280  paid
--    91 - 180  stale, with an intent             281 - 300  expired
--   181 - 240  still in time                     301 - 312  canceled
--                                                313 - 320  refunded

create table demo.baskets as
select
    n,
    demo.id('order ' || n) as order_id,
    'JRV-' || lpad(n::text, 6, '0') as order_number,
    (n - 1) % 320 + 1 as place,
    (n - 1) / 320 + 1 as depot
from generate_series(1, 320 * current_setting('demo.scale')::int) as n;

create table demo.lines as
select
    basket.n,
    basket.order_id,
    basket.depot,
    line,
    (floor(demo.chance('item ' || basket.n) * 40)::int + line * 13) % 40 as item,
    1 + floor(demo.chance('quantity ' || basket.n || ' ' || line) * 3)::int as quantity
from demo.baskets as basket
cross join lateral generate_series(1, 1 + floor(demo.chance('lines ' || basket.n) * 3)::int) as line;

insert into orders
    (id, order_number, status, currency, total_amount, expires_at, expired_at, paid_at, created_at, updated_at)
select
    order_id,
    order_number,
    status,
    'eur',
    total,
    expires_at,
    case when status = 'EXPIRED' then expires_at + interval '3 minutes' end,
    case when status in ('PAID', 'REFUNDED') then expires_at - interval '20 minutes' end,
    expires_at - interval '30 minutes',
    expires_at - interval '20 minutes'
from demo.baskets
join (
    select
        n,
        sum(quantity * (490 + item * 110))::bigint as total
    from demo.lines
    group by n
) as totals using (n)
cross join lateral (
    select
        case
            when place <= 240 and (place % 3 = 0 or place > 90) then 'REQUIRES_PAYMENT'
            when place <= 240 then 'PENDING'
            when place <= 280 then 'PAID'
            when place <= 300 then 'EXPIRED'
            when place <= 312 then 'CANCELED'
            else 'REFUNDED'
        end as status,
        case
            when place <= 180 then now() - interval '1 minute' - interval '58 minutes' * demo.chance('due ' || n)
            when place <= 182 then now() + interval '2 days' -- payment by bank transfer
            when place <= 240 then now() + interval '20 minutes' + interval '70 minutes' * demo.chance('due ' || n)
            else now() - interval '2 days' - interval '40 days' * demo.chance('due ' || n)
        end as expires_at
) as fate;

insert into order_items (id, order_id, sku, quantity, unit_price_amount)
select
    demo.id('line ' || n || ' ' || line),
    order_id,
    'SKU-' || lpad((item + 1)::text, 3, '0'),
    quantity,
    490 + item * 110
from demo.lines;

insert into stock_reservations
    (id, order_id, stock_level_id, quantity, status, created_at, released_at, release_reason)
select
    demo.id('reservation ' || line.n || ' ' || line.line),
    line.order_id,
    demo.id('stock ' || line.depot || ' ' || line.item),
    line.quantity,
    case
        when orders.status in ('PENDING', 'REQUIRES_PAYMENT') then 'ACTIVE'
        when orders.status in ('PAID', 'REFUNDED') then 'CONSUMED'
        else 'RELEASED'
    end,
    orders.created_at,
    case when orders.status in ('EXPIRED', 'CANCELED') then orders.expires_at + interval '3 minutes' end,
    case orders.status when 'EXPIRED' then 'order_expired' when 'CANCELED' then 'order_canceled' end
from demo.lines as line
join orders on orders.id = line.order_id;

update stock_levels
set reserved = active.quantity
from (
    select stock_level_id, sum(quantity) as quantity
    from stock_reservations
    where status = 'ACTIVE'
    group by stock_level_id
) as active
where active.stock_level_id = stock_levels.id;

insert into audit_events (id, event_type, entity_type, entity_id, actor, payload, occurred_at)
select
    demo.id('audit expired ' || order_number),
    'local.order.expired',
    'order',
    id::text,
    'system',
    jsonb_build_object('order_number', order_number),
    expired_at
from orders
where status = 'EXPIRED';


-- The shop: payment intents -------------------------------------------------------------------------------------------
-- `ours` is what our database believes, `truth` what Stripe will say; without a truth, Stripe does not know the intent.

create table demo.intents as
select
    basket.n as serial,
    basket.order_id,
    orders.total_amount as amount,
    null::text as checkout_session_id,
    ours,
    case
        when place between 91 and 94 then 'succeeded' -- the webhook was lost
        when place between 95 and 96 then 'requires_capture'
        when place between 97 and 99 then 'processing'
        when place = 100 then null
        when place = 301 then 'requires_capture' -- money still held for a canceled order
        else ours
    end as truth,
    case
        when place between 181 and 182 then now() - interval '8 days' -- old, but of an order that is still in time
        else orders.created_at + interval '2 minutes'
    end as created_at
from demo.baskets as basket
join orders on orders.id = basket.order_id
cross join lateral (
    select
        case
            when place <= 180 then
                (array['requires_payment_method', 'requires_action', 'requires_confirmation'])[1 + place % 3]
            when place <= 210 then 'requires_payment_method'
            when place between 241 and 280 then 'succeeded'
            when place between 281 and 288 then 'canceled'
            when place between 289 and 291 then 'requires_payment_method' -- left open when its order expired
            when place = 301 then 'requires_capture'
            when place between 302 and 306 then 'canceled'
            when place > 312 then 'succeeded'
        end as ours
) as belief
where place > 90
    and ours is not null;

-- Thirty more that nobody settled for over a week: two of a checkout session, two of an order that ended long ago.
insert into demo.intents (serial, order_id, amount, checkout_session_id, ours, truth, created_at)
select
    500000 + (unit - 1) * 30 + i,
    case i
        when 21 then demo.id('order ' || (unit - 1) * 320 + 310)
        when 22 then demo.id('order ' || (unit - 1) * 320 + 299)
    end,
    1000 + i * 90,
    case when i in (8, 9) then 'cs_demo_' || lpad(((unit - 1) * 30 + i)::text, 6, '0') end,
    ours,
    case
        when i <= 23 then ours
        when i <= 26 then 'succeeded'
        when i <= 28 then 'canceled'
        when i = 30 then 'succeeded'
    end,
    now() - interval '8 days' - interval '30 days' * demo.chance('stale intent ' || unit || ' ' || i)
from generate_series(1, current_setting('demo.scale')::int) as unit
cross join generate_series(1, 30) as i
cross join lateral (
    select
        case
            when i <= 9 then 'requires_payment_method'
            when i <= 13 then 'requires_confirmation'
            when i <= 17 then 'requires_action'
            when i <= 20 then 'processing'
            when i <= 23 then 'requires_capture'
            when i <= 29 then 'requires_payment_method'
            else 'processing'
        end as ours
) as belief;

insert into payment_intents
    (id, order_id, stripe_payment_intent_id, checkout_session_id, status, amount, currency,
     cancellation_reason, canceled_at, last_synced_at, created_at, updated_at)
select
    demo.id('intent ' || serial),
    order_id,
    'pi_demo_' || lpad(serial::text, 6, '0'),
    checkout_session_id,
    ours,
    amount,
    'eur',
    case when ours = 'canceled' then 'abandoned' end,
    case when ours = 'canceled' then created_at + interval '40 minutes' end,
    created_at,
    created_at,
    created_at
from demo.intents;

-- What is true at Stripe, one row for each intent that exists there. The Stripe double starts from it.
create table demo.demo_stripe_intents as
select
    'pi_demo_' || lpad(serial::text, 6, '0') as stripe_payment_intent_id,
    truth as status,
    amount,
    checkout_session_id
from demo.intents
where truth is not null;


-- Gyms ----------------------------------------------------------------------------------------------------------------
-- Three for each unit of scale: one that closes at night, one that never does, one overseas that closes after midnight.

create table demo.houses as
select
    g,
    demo.id('gym ' || g) as gym_id,
    (g - 1) % 3 + 1 as kind,
    (array['Lyon Part-Dieu', 'Lille Flandres', 'Fort-de-France'])[(g - 1) % 3 + 1] as town,
    case when g > 3 then ' ' || ((g - 1) / 3 + 1) else '' end as suffix
from generate_series(1, 3 * current_setting('demo.scale')::int) as g;

insert into gyms (id, name, slug, status, timezone, locale, opening_hours, created_at)
select
    gym_id,
    'JARVIS ' || town || suffix,
    lower(replace(town || suffix, ' ', '-')),
    'active',
    (array['Europe/Paris', 'Europe/Paris', 'America/Martinique'])[kind],
    (array['fr', 'en', 'fr'])[kind],
    (array[
        '{"mon": [["06:00", "22:00"]], "tue": [["06:00", "22:00"]], "wed": [["06:00", "22:00"]],
          "thu": [["06:00", "22:00"]], "fri": [["06:00", "22:00"]], "sat": [["08:00", "20:00"]],
          "sun": [["09:00", "13:00"], ["15:00", "19:00"]]}',
        null,
        '{"mon": [["05:30", "22:30"]], "tue": [["05:30", "22:30"]], "wed": [["05:30", "22:30"]],
          "thu": [["05:30", "22:30"]], "fri": [["05:30", "00:30"]], "sat": [["07:00", "00:30"]]}'
    ]::jsonb[])[kind],
    now() - interval '5 years'
from demo.houses;

insert into report_recipients (gym_id, email, locale)
select gym_id, 'direction@' || slug || '.example.com', locale
from (select id as gym_id, slug, locale from gyms) as gym
union all
select id, 'regional@jarvis.example.com', 'fr'
from gyms
where timezone = 'Europe/Paris';


-- Members -------------------------------------------------------------------------------------------------------------
-- 300 in each gym. The place in a hundred says what sort of member somebody is.

create table demo.people as
select
    house.gym_id,
    house.kind,
    gym.timezone,
    m,
    key,
    demo.id('member ' || key) as member_id,
    sort,
    -- The day this sort of member came for the first time, counted back from today.
    case
        when sort = 'new' then 1 + floor(chance * 12)::int
        when sort = 'never visited' then 20 + floor(chance * 60)::int
        when sort = 'long gone' then 1600 + floor(chance * 300)::int
        when sort = 'veteran' then 1250 + floor(chance * 400)::int
        else 25 + floor(chance * chance * 1100)::int
    end as days_in,
    -- The day a rhythm broke, where one did.
    case
        when sort = 'fading' then 30 + floor(demo.chance('break ' || key) * 40)::int
        when sort in ('gone', 'cancelled', 'expired') then 30 + floor(demo.chance('break ' || key) * 70)::int
        else 0
    end as days_broken,
    now() at time zone gym.timezone as here
from demo.houses as house
join gyms as gym on gym.id = house.gym_id
cross join generate_series(0, 299) as m
cross join lateral (select house.g || '/' || m as key) as keyed
cross join lateral (select demo.chance('joined ' || key) as chance) as drawn
cross join lateral (
    select
        case
            when m % 100 < 20 then 'regular'
            when m % 100 < 24 then 'veteran'
            when m % 100 < 56 then 'weekly'
            when m % 100 < 68 then 'fading'
            when m % 100 < 76 then 'gone'
            when m % 100 < 82 then 'new'
            when m % 100 < 85 then 'never visited'
            when m % 100 < 89 then 'frozen'
            when m % 100 < 91 then 'opted out'
            when m % 100 < 95 then 'cancelled'
            when m % 100 < 97 then 'expired'
            else 'long gone'
        end as sort
) as sorted;

insert into members
    (id, gym_id, badge_id, first_name, last_name, email, status, joined_on, membership_type, contract_months,
     membership_ends_on, cancelled_at, frozen_until, last_contact_at, churn_opt_out, created_at)
select
    member_id,
    gym_id,
    'B' || lpad(m::text, 5, '0'),
    first_name,
    last_name,
    lower(translate(first_name || '.' || last_name, 'ÉéèêëçôïîÏ '' -', 'EeeeecoiiI')) || '.' || replace(key, '/', '-')
        || '@example.com',
    case sort
        when 'frozen' then 'frozen'
        when 'cancelled' then 'cancelled'
        when 'expired' then 'expired'
        when 'long gone' then 'cancelled'
        else 'active'
    end,
    joined_on,
    demo.pick(array['standard', 'standard', 'premium', 'student', 'off-peak'], 'type ' || key),
    contract_months,
    case
        when sort = 'long gone' then here::date - 1150
        when sort = 'expired' then here::date - days_broken + 5
        when sort = 'cancelled' then here::date - days_broken + 20
        -- The contract runs on, term by term: its end is the first one still to come.
        else (
            joined_on + make_interval(
                months => contract_months * (1 + floor(days_in / 30.5 / contract_months)::int)
            )
        )::date
    end,
    case sort
        when 'cancelled' then now() - make_interval(days => greatest(1, days_broken - 28))
        when 'long gone' then now() - interval '1180 days'
    end,
    case when sort = 'frozen' then here::date + 10 + m % 40 end,
    case
        when sort = 'long gone' then now() - interval '1170 days'
        else now() - make_interval(days => least(days_in, 3 + floor(demo.chance('contact ' || key) * 200)::int))
    end,
    sort = 'opted out',
    now() - make_interval(days => days_in)
from demo.people
cross join lateral (
    select
        here::date - days_in as joined_on,
        demo.pick(
            array[
                'Camille', 'Léa', 'Manon', 'Chloé', 'Inès', 'Jade', 'Louise', 'Emma', 'Zoé', 'Clémence', 'Aïcha',
                'Margaux', 'Nathalie', 'Sandrine', 'Élodie', 'Lucas', 'Hugo', 'Théo', 'Nathan', 'Jules', 'Maxime',
                'Antoine', 'Raphaël', 'Mathis', 'Karim', 'Thomas', 'Benoît', 'Jérôme', 'Mickaël', 'Yanis'
            ],
            'first name ' || key
        ) as first_name,
        demo.pick(
            array[
                'Martin', 'Bernard', 'Dubois', 'Durand', 'Moreau', 'Laurent', 'Lefèvre', 'Roux', 'Fournier', 'Girard',
                'Mercier', 'Lambert', 'Faure', 'Rousseau', 'Blanc', 'Guérin', 'Chevalier', 'François', 'Legrand',
                'Perrin', 'Morin', 'Dumont', 'Fontaine', 'Benali', 'Da Silva', 'Nguyen', 'Traoré', 'Delacroix',
                'Pélissier', 'Marie-Sainte'
            ],
            'last name ' || key
        ) as last_name,
        demo.pick(array['1', '3', '6', '12', '12', '12'], 'contract ' || key)::int as contract_months
) as named;

-- One who should be forgotten, but about whom a court has not yet decided; and a hold that has ended.
insert into legal_holds (id, subject_type, subject_id, reason, until, created_at)
select demo.id('hold 1'), 'member', demo.id('member 1/97'), 'accident of 2023, case pending', null::timestamptz,
    now() - interval '2 years'
union all
select demo.id('hold 2'), 'member', demo.id('member 1/98'), 'dispute about a fee, settled', now() - interval '60 days',
    now() - interval '2 years';


-- Visits --------------------------------------------------------------------------------------------------------------
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


-- Kiosks --------------------------------------------------------------------------------------------------------------
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


-- Conversations -------------------------------------------------------------------------------------------------------
-- 240 in each gym over the last 120 days. Those who fade or are gone had more to complain of.

create table demo.talks as
select
    demo.id('session ' || talk) as session_id,
    house.gym_id,
    -- A kiosk does not always know whom it talks to; and nobody talks before joining or after the rhythm broke.
    case
        when demo.chance('known ' || talk) < 0.75
            and person.sort not in ('long gone', 'never visited')
            and started_at > now() - make_interval(days => person.days_in)
            and (person.sort = 'fading' or started_at < now() - make_interval(days => person.days_broken))
        then person.member_id
    end as member_id,
    demo.id('kiosk ' || house.g || '/' || 1 + floor(demo.chance('kiosk of ' || talk) * 2)::int) as kiosk_id,
    case when t = 0 then 'active' when t % 40 = 7 then 'error' else 'closed' end as state,
    started_at,
    40 + floor(demo.chance('length ' || talk) * 260)::int as seconds,
    2 + floor(demo.chance('turns ' || talk) * 10)::int as turns,
    case
        when mood < 0.25 * sour then 'negative'
        when mood < 0.35 * sour then 'mixed'
        when mood < 0.62 then 'neutral'
        else 'positive'
    end as sentiment,
    topics,
    talk
from demo.houses as house
cross join generate_series(0, 239) as t
cross join lateral (select house.g || '/' || t as talk) as keyed
join demo.people as person
    on person.gym_id = house.gym_id
    and person.m = (t * 7) % 300
cross join lateral (
    select
        demo.chance('mood ' || talk) as mood,
        case when person.sort in ('fading', 'gone', 'cancelled') then 2.2 else 0.6 end as sour,
        case
            when t = 0 then now() - interval '2 minutes'
            else now() - interval '10 minutes' - interval '120 days' * t / 240.0
                - interval '6 hours' * demo.chance('when ' || talk)
        end as started_at,
        array[
            demo.pick(array['musculation', 'cours collectifs', 'horaires', 'abonnement', 'cardio'], 'topic ' || talk),
            demo.pick(array['nutrition', 'perte de poids', 'douleurs', 'vestiaires', 'coaching'], 'also ' || talk)
        ] as topics
) as drawn;

insert into conversation_sessions
    (id, gym_id, kiosk_id, member_id, state, started_at, ended_at, turn_count, duration_seconds, sentiment,
     sentiment_score, topics, metadata)
select
    session_id,
    gym_id,
    kiosk_id,
    member_id,
    state,
    started_at,
    case when state <> 'active' then started_at + make_interval(secs => seconds) end,
    turns,
    case when state <> 'active' then seconds end,
    case when state = 'closed' then sentiment end,
    case
        when state <> 'closed' then null
        when sentiment = 'negative' then -0.3 - 0.6 * demo.chance('score ' || talk)
        when sentiment = 'mixed' then -0.2 + 0.4 * demo.chance('score ' || talk)
        when sentiment = 'neutral' then -0.1 + 0.3 * demo.chance('score ' || talk)
        else 0.3 + 0.6 * demo.chance('score ' || talk)
    end,
    topics,
    jsonb_build_object('language', 'fr', 'microphone', round((60 + 40 * demo.chance('mic ' || talk))::numeric))
from demo.talks;

insert into conversation_events (session_id, event_type, transcript, payload, occurred_at)
select
    session_id,
    event_type,
    transcript,
    case when event_type = 'session.ended' then jsonb_build_object('seconds', seconds) else '{}' end,
    started_at + make_interval(secs => seconds) * part
from demo.talks
cross join lateral (
    values
        ('session.started', null, 0.0),
        (
            'user.transcript',
            case sentiment
                when 'negative' then 'Les douches sont encore en panne, c''est pénible.'
                when 'mixed' then 'La salle est bien, mais il y a trop de monde le soir.'
                when 'neutral' then 'À quelle heure ouvrez-vous dimanche ?'
                else 'J''ai battu mon record au squat !'
            end,
            0.2
        ),
        ('assistant.transcript', 'Je m''en occupe, parlons de ' || topics[1] || '.', 0.4),
        ('session.ended', null, 1.0)
) as event (event_type, transcript, part)
where state <> 'active'
    or event_type = 'session.started';


-- Predictions ---------------------------------------------------------------------------------------------------------
-- Those of thirty days ago have their outcome due today; those of the last fortnight are what a report compares with;
-- a few are past their keeping. Absence against the usual gap stands in for the model that made them.

insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version, outcome)
select
    member_id,
    today - ago,
    gym_id,
    score,
    case
        when score is null then 'new'
        when score >= 0.75 then 'critical'
        when score >= 0.5 then 'high'
        when score >= 0.25 then 'medium'
        else 'low'
    end,
    'sample',
    null
from demo.people
cross join (select (now() at time zone 'Europe/Paris')::date as today) as calendar
cross join (select generate_series(1, 16) as ago union all select 30) as aged
cross join lateral (
    select
        max(checked_in_at) as latest,
        count(*) as times
    from visits
    where visits.member_id = people.member_id
        and checked_in_at < today - ago
        and checked_in_at >= today - ago - 112
) as seen
cross join lateral (
    select
        case
            when days_in - ago < 14 and times < 2 then null
            when times = 0 then 0.97
            else 1 - exp(-extract(epoch from (today - ago) - latest) / 86400 / (18 + 112.0 / times))
        end::real as score
) as scored
where sort in ('regular', 'veteran', 'weekly', 'fading', 'gone', 'new')
    and days_in > ago;

insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version, outcome)
select
    member_id,
    (now() at time zone 'Europe/Paris')::date - ago,
    gym_id,
    0.1 + 0.1 * demo.chance('old score ' || key || ago),
    'low',
    'sample',
    false
from demo.people
cross join generate_series(410, 414) as ago
where sort in ('regular', 'veteran')
    and days_in > ago;


-- Alerts --------------------------------------------------------------------------------------------------------------

-- Two that stand open: one for a kiosk that came back, one for a kiosk still down and due for escalation.
insert into alerts
    (id, gym_id, kiosk_id, kind, severity, dedup_key, title, details, opened_at, last_seen_at, occurrences)
select
    demo.id('alert ' || slug),
    gym_id,
    kiosk_id,
    'kiosk_offline',
    case when silent_for > interval '1 hour' then 'high' else 'warning' end,
    'kiosk_offline:' || kiosk_id,
    'Kiosk ' || name || ' is offline',
    jsonb_build_object('slug', slug),
    now() - case when silent_for > interval '1 hour' then interval '4 days' else interval '20 hours' end,
    now() - interval '20 hours',
    case when silent_for > interval '1 hour' then 4 else 1 end
from demo.devices
where status = 'offline';

-- And resolved ones, a third of them for more than a year.
insert into alerts
    (id, gym_id, member_id, kind, severity, dedup_key, status, title, opened_at, last_seen_at, occurrences,
     resolved_at, resolved_by)
select
    demo.id('old alert ' || key),
    gym_id,
    member_id,
    'churn_risk',
    'high',
    'churn_risk:' || member_id,
    'resolved',
    'A member may leave',
    resolved_at - interval '6 days',
    resolved_at,
    6,
    resolved_at,
    'system'
from demo.people
cross join lateral (
    select now() - make_interval(days => 20 + floor(demo.chance('resolved ' || key) * 520)::int) as resolved_at
) as aged
where sort in ('weekly', 'veteran')
    and m % 5 = 0;


-- Logs and runs -------------------------------------------------------------------------------------------------------

insert into system_logs ("timestamp", log_type, level, message, details)
select
    now() - interval '4 hours' - interval '300 days' * i / (500.0 * current_setting('demo.scale')::int),
    case when i % 5 < 2 then 'health' else job.log_type end,
    'info',
    case when i % 5 < 2 then 'microphone check' else 'succeeded' end,
    case when i % 5 < 2 then jsonb_build_object('score', 60 + i % 40) else '{}' end
from generate_series(1, 500 * current_setting('demo.scale')::int) as i
cross join lateral (
    select (array['cron_daily_churn', 'cron_kiosk_health', 'cron_cleanup'])[1 + i % 3] as log_type
) as job;

insert into job_runs
    (id, job, trigger, message_id, schedule_id, status, epoch, started_at, finished_at, results)
select
    demo.id('run ' || i),
    (array['daily-churn-analysis', 'health-check-kiosks', 'cleanup-old-data'])[1 + i % 3],
    'qstash',
    'msg_demo_' || lpad(i::text, 6, '0'),
    (array['jarvis-daily-churn', 'jarvis-health-check-kiosks', 'jarvis-cleanup-data'])[1 + i % 3],
    'succeeded',
    1,
    started_at,
    started_at + interval '4 seconds',
    '{}'
from generate_series(1, 60 * current_setting('demo.scale')::int) as i
cross join lateral (
    select now() - interval '366 days' - interval '8 hours' * (i::double precision / current_setting('demo.scale')::int)
        as started_at
) as aged;


-- Only what the Stripe double reads is left behind.
drop table
    demo.baskets, demo.lines, demo.intents, demo.houses, demo.people, demo.devices, demo.shifts, demo.talks;

analyze
    orders, order_items, stock_levels, stock_reservations, payment_intents, order_expirations, audit_events,
    gyms, members, visits, conversation_sessions, conversation_events, member_churn, member_churn_history,
    kiosks, kiosk_heartbeats, alerts, report_recipients, legal_holds, system_logs, job_runs;
