//! Totals: what all runs of a job did together, also those since pruned.
//!
//! Owns `job_totals` and `job_run_totals`. Each settled run is added once, in
//! the transaction that settles it; a run settled by an older version of this
//! service, which did not count, is added by the next. Which counts add up is
//! said by the job ([`Job::totals`]). Dry runs did nothing and do not count.

use sqlx::Result;

use crate::database::Unprepared;
use crate::engine::Job;

/// Adds the settled runs of `job` that are not in the totals yet.
pub(super) async fn count(db: Unprepared<'_>, job: &Job) -> Result<()> {
    let kinds: Vec<String> = job.totals.iter().map(|kind| (*kind).to_owned()).collect();
    sqlx::query!(
        "with uncounted as (
            select id
              from job_runs
             where job = $1
               and not counted
               and not dry_run
               and status <> 'running'
               for update skip locked
        ), settled as (
            update job_runs r
               set counted = true
              from uncounted
             where r.id = uncounted.id
            returning r.job, r.status, r.results, r.finished_at, r.shard,
                      trunc(extract(
                          epoch from within_calendar(r.finished_at) - within_calendar(r.started_at)
                      ) * 1000) as duration_ms
        ), runs as (
            insert into job_run_totals as t (job, status, runs, duration_ms, last_finished_at)
            select job, status, count(*), coalesce(sum(greatest(duration_ms, 0)), 0),
                   max(finished_at) filter (where shard >= 0)
              from settled
             group by job, status
             order by status
                on conflict (job, status) do update
               set runs = t.runs + excluded.runs,
                   duration_ms = t.duration_ms + excluded.duration_ms,
                   -- One in the future was dated before the clock was set back.
                   last_finished_at = greatest(
                       case when t.last_finished_at <= clock_timestamp() then t.last_finished_at end,
                       excluded.last_finished_at
                   )
        )
        insert into job_totals as t (job, kind, total)
        select job, kind, sum((results ->> kind)::numeric)
          from settled
          cross join unnest($2::text[]) as kind
         where jsonb_typeof(results -> kind) = 'number'
         group by job, kind
         order by kind
            on conflict (job, kind) do update
           set total = t.total + excluded.total
         where excluded.total <> 0",
        job.name,
        &kinds,
    )
    .execute(db)
    .await?;
    Ok(())
}
