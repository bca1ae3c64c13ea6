-- Sample data: gyms.
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
