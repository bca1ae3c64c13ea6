-- How many mails are owed, and how many of them this run would try now; by the same rules as begin_deliveries.sql.
select
    count(*) as "owed!",
    count(*) filter (where is_due) as "due!",
    coalesce((array_agg(distinct report_id) filter (where is_due))[1:$5], '{}') as "samples!"
from (
    select
        report_id,
        coalesce(
            attempted_at < $1::timestamptz - case when refusals > 0 then interval '1 hour' else '0' end,
            true
        ) as is_due
    from open_deliveries
    where period_end > $3
        and period_end <= $1
        and (unsure_since is null or unsure_since > $2)
        and ($4::uuid is null or gym_id = $4)
) as owed
