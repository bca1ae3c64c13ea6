-- no-transaction
-- daily-churn-analysis found the open alerts of its kind by a range of their keys, and which texts lie in a range depends on
-- the collation of the database. The kind itself does not. Built concurrently, because alerts are written meanwhile.

create index concurrently if not exists alerts_open_of_kind
    on alerts (kind)
    where status in ('open', 'acknowledged');
