-- Opening time in slots of five minutes: the share of slots in which each kiosk in service sent a heartbeat. A slot is
-- looked up in the index instead of counting its heartbeats, so that a kiosk that sends one every few seconds costs no
-- more. Slots before the oldest heartbeat that is still kept do not count, nor those before the kiosk existed. Last week's
-- share comes from last week's report where there is one: that halves the time.
with week as materialized (
    select
        week.*,
        (report.metrics #>> '{kiosk_uptime,value}')::double precision as last_share
    from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
       as week (gym_id, timezone, last_starts, starts, ends, monday)
    left join weekly_reports as report
        on report.gym_id = week.gym_id
        and report.period_start = week.last_starts
        and report.period_end = week.starts
        and jsonb_typeof(report.metrics #> '{kiosk_uptime,value}') = 'number'
), slot as (
    select
        week.gym_id,
        slot.at,
        slot.at >= week.starts as is_this
    from week
    join gyms on gyms.id = week.gym_id
    cross join generate_series(-8, 6) as days
    cross join lateral (select week.monday + days as day) as dated
    cross join lateral jsonb_array_elements(
        case
            when gyms.opening_hours is null then '[["00:00", "00:00"]]'
            else coalesce(gyms.opening_hours -> to_char(day, 'dy'), '[]')
        end
    ) as span
    cross join lateral (select (span ->> 0)::time as opens, (span ->> 1)::time as closes) as hours
    cross join lateral generate_series(
        (day + opens) at time zone week.timezone,
        (day + closes + case when closes <= opens then interval '1 day' else interval '0' end)
            at time zone week.timezone - interval '1 second',
        interval '5 minutes'
    ) as slot (at)
    where slot.at >= case when week.last_share is null then week.last_starts else week.starts end
        and slot.at < week.ends
        and slot.at >= (select min(received_at) from kiosk_heartbeats)
)
select
    slot.gym_id as "gym_id!",
    slot.is_this as "is_this!",
    count(beat.heard)::double precision / count(*) as "share!"
from slot
join kiosks
    on kiosks.gym_id = slot.gym_id
    and kiosks.status not in ('provisioning', 'pending_approval', 'maintenance', 'retired')
    and kiosks.created_at <= slot.at
left join lateral (
    select true as heard
    from kiosk_heartbeats
    where kiosk_heartbeats.kiosk_id = kiosks.id
        and kiosk_heartbeats.received_at >= slot.at
        and kiosk_heartbeats.received_at < slot.at + interval '5 minutes'
    limit 1
) as beat on true
group by 1, 2
union all
select
    gym_id,
    false,
    last_share
from week
where last_share is not null
