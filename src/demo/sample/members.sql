-- Sample data: members.
-- 300 in each gym. A member's number modulo 100 decides which kind of member it is.

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

-- One member is due for anonymisation and under a legal hold, for a court case; another hold has ended.
insert into legal_holds (id, subject_type, subject_id, reason, until, created_at)
select demo.id('hold 1'), 'member', demo.id('member 1/97'), 'accident of 2023, case pending', null::timestamptz,
    now() - interval '2 years'
union all
select demo.id('hold 2'), 'member', demo.id('member 1/98'), 'dispute about a fee, settled', now() - interval '60 days',
    now() - interval '2 years';
