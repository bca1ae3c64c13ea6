-- A maintenance that is set without its begin (`status_since`) leaves there the begin of the status before: days in which the
-- kiosk was up would not count. A kiosk that beats on after its status began was not in maintenance then.

-- health-check-kiosks, weekly-reports: all maintenance that is known; what was recorded, and what the kiosks' rows tell beyond
-- it. One that is on began with the status, unless the kiosk was heard half an hour later, or since then where no beat from before
-- is kept. Of that, and of one that has ended and
-- was never seen, only the end is known: it began with the last silence of more than a slot before that end, within a day or
-- reaching into it.
create or replace view known_maintenances as
select kiosk_id, starts_at, ends_at, true as is_recorded
from kiosk_maintenances
union all
select k.id, begun.at, planned.until, false
from kiosks k
cross join lateral (
    select
        coalesce(within_calendar(k.maintenance_until), 'infinity') as until,
        make_interval(secs => greatest(300, 2.0 * k.heartbeat_interval_seconds)) as slot
) planned
cross join lateral (
    select
        k.status = 'maintenance'
        and k.status_since < planned.until
        and not exists (
            select from kiosk_heartbeats heard
            where heard.kiosk_id = k.id
                and heard.received_at > within_calendar(k.status_since) + interval '30 minutes'
                and heard.received_at <= within_calendar(k.status_since) + interval '30 minutes' + planned.slot
        )
        and (
            exists (
                select from kiosk_heartbeats before
                where before.kiosk_id = k.id
                    and before.received_at <= within_calendar(k.status_since)
            )
            or not exists (
                select from kiosk_heartbeats since
                where since.kiosk_id = k.id
                    and since.received_at > within_calendar(k.status_since) + interval '30 minutes'
            )
        ) as is_with_status
) began
cross join lateral (
    select
        case
            when began.is_with_status then k.status_since
            else (
                select
                    case
                        when count(*) = 0 then k.created_at
                        else max(silence.from_at) filter (where silence.to_at > silence.from_at + planned.slot)
                    end
                from (
                    select beat.at as from_at, lead(beat.at, 1, planned.until) over (order by beat.at) as to_at
                    from (
                        select within_calendar(received_at) as at
                        from kiosk_heartbeats
                        where kiosk_id = k.id
                            and received_at > planned.until - interval '24 hours'
                            and received_at <= planned.until
                        union all
                        (
                            select within_calendar(received_at)
                            from kiosk_heartbeats
                            where kiosk_id = k.id
                                and received_at <= planned.until - interval '24 hours'
                            order by received_at desc
                            limit 1
                        )
                    ) beat
                ) silence
            )
        end as at
) begun
where (k.status = 'maintenance' or k.maintenance_until is not null)
    and begun.at < planned.until
    and not exists (
        select from kiosk_maintenances m
        where m.kiosk_id = k.id
            and m.starts_at < planned.until
            and m.ends_at >= planned.until
    );
