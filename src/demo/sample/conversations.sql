-- Sample data: conversations.
-- 240 in each gym over the last 120 days. Those who fade or are gone had more to complain of.

create table demo.talks as
select
    demo.id('session ' || talk) as session_id,
    house.gym_id,
    -- A kiosk does not always recognise the member; a member has no conversation before joining or after the rhythm broke.
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
