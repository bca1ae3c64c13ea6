-- A continuation and a shard come from no schedule, though they do the work of one, or of an operator. So a schedule whose
-- runs are always continued never showed that it works again, and an operator's chain showed it for the nightly schedule.
-- Each run now knows what began its chain, even when the runs between are pruned.

alter table job_runs
    add column chain_schedule_id text, -- its own schedule, or that of the run it continues; null where neither has one
    add column chain_trigger text; -- likewise who asked; null in rows written before: then the run's own

-- Dated by a clock that was ahead, a failure would be mended by no success until that moment has come.
update delivery_failures
set failed_at = received_at
where failed_at > received_at
    and mended_at is null;
