-- Whether the scheduler is silent is asked every minute by whoever watches, so the last delivery of a job must be found
-- without walking past the calls of operators. And the moment of the last success must outlive its row: a job that has
-- failed for longer than runs are kept would otherwise have no such moment, and an alert on its age would fall silent.

-- Overdue: the last delivery of a schedule. Continuations and shards are delivered by QStash too, but are sent by this
-- service itself, and a dry run does nothing that a tick wants. A statement must spell this out to be matched with it.
create index job_runs_delivered
    on job_runs (job, started_at desc)
    where trigger = 'qstash'
        and not dry_run
        and not options ?| array['continuation_of', 'shard'];

alter table job_run_totals
    add column last_finished_at timestamptz; -- of the latest run that ended so; null in no row written from now on

update job_run_totals t
set last_finished_at = (
    select max(r.finished_at)
    from job_runs r
    where r.job = t.job
        and r.status = t.status
        and r.counted
);
