-- Opens the alerts of $1 at $2, or repeats those that are open; after a dismissal since $3 opens none. Answers the new
-- keys.
with raised as materialized (
    select *
      from jsonb_to_recordset($1)
           as raised (kind text, severity text, dedup_key text, title text, details jsonb,
                      recommended_actions jsonb, gym_id uuid, kiosk_id uuid,
                      member_id uuid, order_id uuid, repeat text, timezone text,
                      may_open boolean)
), repeated as (
    update alerts a
       set last_seen_at = $2,
           details = r.details,
           occurrences = a.occurrences + (
               r.repeat <> 'daily'
               or (a.last_seen_at at time zone r.timezone)::date
                  < ($2 at time zone r.timezone)::date)::int,
           severity = case when r.repeat = 'daily' then r.severity else a.severity end,
           title = case when r.repeat = 'hourly' then a.title else r.title end,
           recommended_actions = case
               when r.repeat = 'hourly' then a.recommended_actions
               else r.recommended_actions
           end
      from raised r
     cross join lateral (
           select id
             from alerts
            where dedup_key = r.dedup_key
              and status in ('open', 'acknowledged')
            limit 1
     ) present
     where a.id = present.id
       and a.status in ('open', 'acknowledged')
       and case r.repeat
           when 'hourly' then a.last_seen_at <= $2::timestamptz - interval '1 hour'
           when 'daily' then a.last_seen_at <= $2
               and ((a.last_seen_at at time zone r.timezone)::date
                    < ($2 at time zone r.timezone)::date
                    or a.severity <> r.severity
                    or a.details <> r.details)
           else true
       end
)
insert into alerts (kind, severity, dedup_key, title, details, recommended_actions, gym_id,
                    kiosk_id, member_id, order_id, opened_at, last_seen_at)
select kind, severity, dedup_key, title, details, recommended_actions, gym_id,
       kiosk_id, member_id, order_id, $2::timestamptz, $2
  from raised r
 where may_open
   and not exists (
           select from alerts a
            where a.dedup_key = r.dedup_key
              and a.status = 'dismissed'
              and a.opened_at between $3::timestamptz and $2
       )
    on conflict (dedup_key) where status in ('open', 'acknowledged')
    do nothing
returning dedup_key
