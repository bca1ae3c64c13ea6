-- Planned maintenance is no downtime, and a kiosk's row tells of the present one at most. So the job writes down what it
-- sees, for the weeks that look back. No trigger does: the table of kiosks may become a view of the host's, which is also
-- why nothing refers to it here.

create table kiosk_maintenances (
    kiosk_id uuid not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null, -- infinity = no end is planned
    primary key (kiosk_id, starts_at),
    constraint kiosk_maintenances_in_order
        check (starts_at <= ends_at)
);

-- health-check-kiosks, weekly-reports: all maintenance that is known; what was recorded, and what the kiosks' rows tell beyond
-- it. One that is on began with the status, if that was set with it. Of one that has ended and was never seen only the end is
-- known: it began with the last silence of more than a slot before that end, within a day or reaching into it.
create view known_maintenances as
select kiosk_id, starts_at, ends_at, true as is_recorded
  from kiosk_maintenances
union all
select k.id, begun.at, planned.until, false
  from kiosks k
 cross join lateral (
       select coalesce(within_calendar(k.maintenance_until), 'infinity') as until
 ) planned
 cross join lateral (
       select case
                  when k.status = 'maintenance' and k.status_since < planned.until then k.status_since
                  else (
                      select case
                                 when count(*) = 0 then k.created_at
                                 else max(silence.from_at) filter (
                                     where silence.to_at > silence.from_at
                                           + make_interval(secs => greatest(300, 2.0 * k.heartbeat_interval_seconds))
                                 )
                             end
                        from (
                             select beat.at as from_at,
                                    lead(beat.at, 1, planned.until) over (order by beat.at) as to_at
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
