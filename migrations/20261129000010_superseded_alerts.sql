-- no-transaction
-- health-check-kiosks: the alert of a kiosk that was resolved for its gym's own, to be opened again. Looked up by its key
-- alone: without this index every alert of the kind was read for every kiosk. Built concurrently, because alerts are written
-- meanwhile.

create index concurrently if not exists alerts_superseded
    on alerts (dedup_key, opened_at)
    where status = 'resolved' and details ? 'superseded_by';
