-- A kiosk is judged every night, and what the night found out about it must be at hand without reading its heartbeats
-- again: the share of its last 24 opening hours in which it was heard. Null = nobody watches it, or it had no such hours.
-- The column is in no index, so writing it stays HOT.

alter table kiosks
    add column uptime real
        constraint kiosks_uptime_in_range
            check (uptime between 0 and 1);

-- health-check-kiosks: what stands open of a batch of kiosks, however many alerts were resolved before.
create index alerts_open_of_kiosk
    on alerts (kiosk_id)
    where kiosk_id is not null and status in ('open', 'acknowledged');

-- health-check-kiosks: a dismissed alert is not opened again for the same outage.
create index alerts_dismissed
    on alerts (dedup_key)
    where status = 'dismissed';
