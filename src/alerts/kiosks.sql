-- Makes the open alerts of the gyms $3 and of their kiosks, except the kiosks $4, the wanted ones of $2, as of $1.
-- `wanted` are the alerts that should be open, `present` those that are, `due` those of them that have to change;
-- only these are locked, by id. `hidden` are those that the alert of a gym stood in for.
with wanted as materialized (
    select *
      from jsonb_to_recordset($2)
           as wanted (kind text, severity text, dedup_key text, title text, details jsonb,
                      recommended_actions jsonb, gym_id uuid, kiosk_id uuid,
                      since timestamptz)
), present as (
    select a.id, a.kind = 'kiosk_offline' and k.gym_id in (
               select gym_id
                 from wanted
                where kind = 'gym_offline'
           ) as is_superseded
      from kiosks k
      join alerts a
        on a.kiosk_id = k.id
     where k.gym_id = any($3)
       and k.created_at <= $1
       and k.id <> all($4)
       and a.kind in ('kiosk_offline', 'kiosk_degraded')
       and a.status in ('open', 'acknowledged')
    union all
    select a.id, false
      from unnest($3) as gym (id)
      join alerts a
        on a.dedup_key = 'gym_offline:' || gym.id
     where a.status in ('open', 'acknowledged')
), due as materialized (
    select a.id, present.is_superseded, wanted.kind is null as is_over,
           wanted.details, worse.severity,
           a.last_seen_at <= $1 - interval '1 hour' as is_seen_again,
           wanted.kind is not null and worse.severity is not null as is_worse
      from present
      join alerts a
        on a.id = present.id
      left join wanted
        on wanted.dedup_key = a.dedup_key
     cross join lateral (
          select case
                     when a.severity <> 'critical'
                      and a.opened_at <= $1 - interval '72 hours' then 'critical'
                     when a.severity in ('info', 'warning')
                      and a.opened_at <= $1 - interval '24 hours' then 'high'
                     when a.severity = 'info' then 'warning'
                 end as severity
      ) worse
     where a.status in ('open', 'acknowledged')
       and a.opened_at <= $1
       and (wanted.kind is null
            or a.last_seen_at <= $1 - interval '1 hour'
            or worse.severity is not null)
     order by a.id
       for update of a
), changed as (
    update alerts a
       set status = case when due.is_over then 'resolved' else a.status end,
           resolved_at = case when due.is_over then $1 end,
           resolved_by = case when due.is_over then 'system' end,
           severity = case when due.is_worse then due.severity else a.severity end,
           escalated_at = case when due.is_worse then $1 else a.escalated_at end,
           last_seen_at = case
               when due.is_seen_again and not due.is_over then $1
               else a.last_seen_at
           end,
           occurrences = a.occurrences + (due.is_seen_again and not due.is_over)::int,
           details = case
               when due.is_over and due.is_superseded
                   then a.details || '{"superseded_by": "gym_offline"}'
               when due.is_seen_again and not due.is_over then due.details
               else a.details
           end
      from due
     where a.id = due.id
    returning a.dedup_key, due.is_over, due.is_worse
), hidden as materialized (
    -- Resolved for the gym's own alert only: the kiosk has been down all along.
    select distinct on (a.dedup_key)
           a.id, wanted.details, worse.severity, worse.severity is not null as is_worse
      from wanted
      join alerts a
        on a.dedup_key = wanted.dedup_key
     cross join lateral (
          select case
                     when a.severity <> 'critical'
                      and a.opened_at <= $1 - interval '72 hours' then 'critical'
                     when a.severity in ('info', 'warning')
                      and a.opened_at <= $1 - interval '24 hours' then 'high'
                     when a.severity = 'info' then 'warning'
                 end as severity
      ) worse
     where a.status = 'resolved'
       and a.details ? 'superseded_by'
       and a.opened_at between wanted.since and $1
       and not exists (
           select from alerts other
            where other.dedup_key = a.dedup_key
              and other.status in ('open', 'acknowledged')
       )
     order by a.dedup_key, a.opened_at desc
), reopened as (
    update alerts a
       set status = 'open',
           resolved_at = null,
           resolved_by = null,
           severity = case when hidden.is_worse then hidden.severity else a.severity end,
           escalated_at = case when hidden.is_worse then $1 else a.escalated_at end,
           last_seen_at = greatest(a.last_seen_at, $1),
           occurrences = a.occurrences + 1,
           details = hidden.details
      from hidden
     where a.id = hidden.id
       and a.status = 'resolved'
    returning a.dedup_key, hidden.is_worse
), opened as (
    insert into alerts (kind, severity, gym_id, kiosk_id, dedup_key, title, details,
                        recommended_actions, opened_at, last_seen_at)
    select kind, severity, gym_id, kiosk_id, dedup_key, title, details,
           recommended_actions, $1::timestamptz, $1
      from wanted
     where not exists (
         select from alerts a
          where a.dedup_key = wanted.dedup_key
            and a.status in ('open', 'acknowledged')
     )
       and not exists (
         select from alerts a
          where a.dedup_key = wanted.dedup_key
            and a.status = 'dismissed'
            and a.opened_at >= wanted.since
     )
       and wanted.dedup_key not in (select dedup_key from reopened)
    on conflict do nothing
    returning dedup_key
)
select dedup_key as "dedup_key!", true as "is_opened!", false as "is_resolved!",
       false as "is_escalated!"
  from opened
union all
select dedup_key, true, false, is_worse
  from reopened
union all
select dedup_key, false, is_over, is_worse
  from changed
 where is_over
    or is_worse
