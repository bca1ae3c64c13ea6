-- Sample data: alerts.

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
