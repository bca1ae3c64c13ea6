//! The one statement in which alerts follow the statuses of a batch of gyms.
//!
//! Read from the top: `judged` are the kiosks, `down` the gyms that are down as
//! a whole, `wanted` the alerts that should be open, `standing` those that
//! are, `due` those of them that have to change. Only these are locked, by id.
//! `hidden` are those that a gym's alert has stood in for: they are opened
//! again, with their age, when the gym is no longer down as a whole.

/// Beside what [`super::verdict::judging`] asks for: how many keys to name, and
/// what to do when a kiosk is offline, degraded, has a wrong clock, or when a
/// whole gym is offline.
macro_rules! following {
    ($row:ty, $ctx:expr, $gyms:expr $(, $more:expr)+ $(,)?) => {
        $crate::jobs::health_check_kiosks::verdict::judging!(
            $row,
            "
        with judged as materialized (
        select k.id, k.gym_id, k.slug, k.name, k.status, k.status_since, judged.verdict,
               seen.silent_since, coalesce(heard.is_ahead, false) as is_ahead",
            r#"
        ), down as (
            select gym_id, count(*) as kiosks, max(status_since) as since,
                   max(silent_since) as silent_since
              from judged
             where verdict is not null
             group by gym_id
            having count(*) > 1
               and bool_and(verdict = 'offline' and status = 'offline')
        ), wanted as materialized (
            select 'kiosk_' || verdict as kind, 'kiosk_' || verdict || ':' || id as dedup_key,
                   gym_id, id as kiosk_id, 'warning' as severity, status_since as since,
                   format('Kiosk %s (%s) is %s', name, slug, verdict) as title,
                   jsonb_build_object('slug', slug, 'silent_since', silent_since,
                                      'has_wrong_clock', is_ahead) as details,
                   case
                       when verdict = 'offline' then $7::jsonb
                       when is_ahead then $9::jsonb
                       else $8::jsonb
                   end as actions
              from judged
             where verdict in ('degraded', 'offline')
               and verdict = status
               and not exists (select from down where down.gym_id = judged.gym_id)
            union all
            select 'gym_offline', 'gym_offline:' || gym_id, gym_id, null, 'high', since,
                   format('All %s kiosks of %s are offline', kiosks, gyms.name),
                   jsonb_build_object('slug', gyms.slug, 'silent_since', silent_since,
                                      'kiosks', kiosks),
                   $10::jsonb
              from down
              join gyms
                on gyms.id = down.gym_id
        ), standing as (
            select a.id, a.kind = 'kiosk_offline'
                   and exists (select from down where down.gym_id = judged.gym_id) as is_superseded
              from judged
              join alerts a
                on a.kiosk_id = judged.id
             where a.kind in ('kiosk_offline', 'kiosk_degraded')
               and a.status in ('open', 'acknowledged')
               and (judged.verdict is null or judged.verdict = judged.status)
            union all
            select a.id, false
              from unnest($2) as gym (id)
              join alerts a
                on a.dedup_key = 'gym_offline:' || gym.id
             where a.status in ('open', 'acknowledged')
        ), due as materialized (
            select a.id, standing.is_superseded, wanted.kind is null as is_over,
                   wanted.details, aged.severity,
                   a.last_seen_at <= $1 - interval '1 hour' as is_seen_again,
                   wanted.kind is not null and aged.is_worse as is_worse
              from standing
              join alerts a
                on a.id = standing.id
              left join wanted
                on wanted.dedup_key = a.dedup_key
             cross join lateral (
                  select case
                             when a.opened_at <= $1 - interval '72 hours' then 'critical'
                             when a.opened_at <= $1 - interval '24 hours' then 'high'
                             else 'warning'
                         end as severity
              ) age
             cross join lateral (
                  select age.severity,
                         array_position(array['info', 'warning', 'high', 'critical'], age.severity)
                         > array_position(array['info', 'warning', 'high', 'critical'], a.severity)
                             as is_worse
              ) aged
             where a.status in ('open', 'acknowledged')
               and a.opened_at <= $1
               and (wanted.kind is null
                    or a.last_seen_at <= $1 - interval '1 hour'
                    or aged.is_worse)
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
                   a.id, wanted.details, aged.severity, aged.is_worse
              from wanted
              join alerts a
                on a.dedup_key = wanted.dedup_key
             cross join lateral (
                  select case
                             when a.opened_at <= $1 - interval '72 hours' then 'critical'
                             when a.opened_at <= $1 - interval '24 hours' then 'high'
                             else 'warning'
                         end as severity
              ) age
             cross join lateral (
                  select age.severity,
                         array_position(array['info', 'warning', 'high', 'critical'], age.severity)
                         > array_position(array['info', 'warning', 'high', 'critical'], a.severity)
                             as is_worse
              ) aged
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
            select kind, severity, gym_id, kiosk_id, dedup_key, title, details, actions, $1, $1
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
        ), counted as (
            select count(*) filter (where verdict = 'online') as online,
                   count(*) filter (where verdict = 'degraded') as degraded,
                   count(*) filter (where verdict = 'offline') as offline,
                   count(*) filter (where verdict is null) as untouched
              from judged
        ), new as (
            select count(*) as opened, (array_agg(dedup_key))[1:$6] as keys
              from (select dedup_key from opened
                    union all
                    select dedup_key from reopened) as shown
        ), old as (
            select count(*) filter (where is_over) as resolved,
                   count(*) filter (where is_worse) as escalated,
                   (array_agg(dedup_key) filter (where is_over))[1:$6] as resolved_keys,
                   (array_agg(dedup_key) filter (where is_worse))[1:$6] as escalated_keys
              from (select dedup_key, is_over, is_worse from changed
                    union all
                    select dedup_key, false, is_worse from reopened) as shown
        )
        select online as "online!", degraded as "degraded!", offline as "offline!",
               untouched as "untouched!", opened as "opened!", resolved as "resolved!",
               escalated as "escalated!", coalesce(keys, '{}') as "sample_opened!",
               coalesce(resolved_keys, '{}') as "sample_resolved!",
               coalesce(escalated_keys, '{}') as "sample_escalated!"
          from counted, new, old
        "#,
            $ctx,
            $gyms,
            $($more,)+
        )
    };
}

pub(super) use following;
