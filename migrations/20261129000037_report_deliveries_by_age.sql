-- no-transaction
-- cleanup-old-data: deliveries by when they were last tried. The address is no part of the key, which stands in
-- checkpoints: its hash does as well.

create index concurrently report_deliveries_by_age
    on report_deliveries (
        (coalesce(sent_at, attempted_at, '-infinity'::timestamptz)), report_id, (hashtextextended(recipient, 0))
    );
