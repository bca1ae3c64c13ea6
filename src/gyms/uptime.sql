-- For the next $7 kiosks of the gyms $5 after $6, and each part of the opening time in $1 to $4: how many seconds of it were
-- cut into slots that count, and in how many of those seconds' slots the kiosk was heard. Kiosks without any come too.
with history as materialized (
    select within_calendar(min(received_at)) as begins from kiosk_heartbeats
), kiosk as materialized (
    select
        kiosks.id,
        kiosks.gym_id,
        kiosks.created_at,
        kiosks.uptime,
        kiosks.status not in ('provisioning', 'pending_approval', 'retired')
            and (
                kiosks.last_heartbeat_at < (select begins from history)
                or exists (select from kiosk_heartbeats where kiosk_heartbeats.kiosk_id = kiosks.id)
            ) as has_history,
        make_interval(secs => greatest(300, 2.0 * kiosks.heartbeat_interval_seconds)) as slot,
        (
            select range_agg(tstzrange(known.starts_at, greatest(known.starts_at, known.ends_at)))
            from known_maintenances as known
            where known.kiosk_id = kiosks.id
        ) as maintained
    from unnest($5::uuid[]) as gym (id)
    join kiosks on kiosks.gym_id = gym.id
    where kiosks.created_at <= $8
        and ($6::uuid is null or kiosks.id > $6)
    order by kiosks.id
    limit $7
), measured as materialized (
    select
        kiosk.id,
        span.part,
        sum(cut.slots - cut.before - coalesce(left_out.slots, 0)) * date_part('epoch', kiosk.slot) as open,
        sum(beats.slots) * date_part('epoch', kiosk.slot) as heard
    from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[]) as span (gym_id, part, opens, closes)
    join kiosk on kiosk.gym_id = span.gym_id
    -- The slot of the oldest heartbeat that is still kept, of any kiosk, is the first that counts; and none of the last day
    -- can have been erased.
    cross join (select least(begins, $8 - interval '1 day') as begins from history) as kept
    cross join lateral (select greatest(span.opens, kiosk.created_at) as opens) as begun
    cross join lateral (
        select
            floor(date_part('epoch', span.closes - begun.opens) / date_part('epoch', kiosk.slot)) as slots,
            greatest(
                0, floor(date_part('epoch', kept.begins - begun.opens) / date_part('epoch', kiosk.slot))
            ) as before
    ) as cut
    cross join lateral (
        select
            case
                when kiosk.maintained && tstzrange(begun.opens, span.closes) then (
                    select count(*)
                    from generate_series(cut.before::bigint, cut.slots::bigint - 1) as slot (number)
                    cross join lateral (select begun.opens + slot.number * kiosk.slot as starts) as at
                    where kiosk.maintained && tstzrange(at.starts, at.starts + kiosk.slot)
                )
            end as slots
    ) as left_out
    cross join lateral (
        select count(*) as slots
        from (
            select distinct date_bin(kiosk.slot, heartbeat.received_at, begun.opens) as starts
            from kiosk_heartbeats as heartbeat
            where heartbeat.kiosk_id = kiosk.id
                and heartbeat.received_at >= begun.opens + cut.before * kiosk.slot
                and heartbeat.received_at < begun.opens + cut.slots * kiosk.slot
        ) as heard
        where left_out.slots is null
            or not kiosk.maintained && tstzrange(heard.starts, heard.starts + kiosk.slot)
    ) as beats
    where kiosk.has_history
        and cut.slots > cut.before
    group by kiosk.id, kiosk.slot, span.part
)
select
    kiosk.id as "kiosk_id!",
    kiosk.gym_id as "gym_id!",
    kiosk.uptime as before,
    measured.part as "part?",
    coalesce(measured.open, 0) as "open!",
    coalesce(measured.heard, 0) as "heard!"
from kiosk
left join measured on measured.id = kiosk.id
order by kiosk.id
