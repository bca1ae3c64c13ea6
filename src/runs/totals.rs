//! Totals: what all runs of a job did together, also those since pruned.
//!
//! Owns `job_totals` and `job_run_totals`. Each settled run is added once, in
//! the transaction that settles it; a run settled by an older version of this
//! service, which did not count, is added by the next. Which counts add up is
//! said by the job ([`Job::totals`]). Dry runs did nothing and do not count.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Result};

use crate::database::Unnamed;
use crate::jobs::Job;

/// What all runs of one job did together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// The job's own counts, by their names in its results.
    pub counts: BTreeMap<String, i64>,
    /// How many runs ended in each status.
    pub runs: BTreeMap<String, i64>,
    /// How long those took together that worked to some end, in milliseconds.
    pub duration_ms: i64,
    /// How many those were.
    pub worked: i64,
    /// When the latest success ended that did work, and not only hand it out.
    pub last_success: Option<DateTime<Utc>>,
}

/// Adds the settled runs of `job` that are not in the totals yet.
pub(super) async fn count(db: Unnamed<'_>, job: &Job) -> Result<()> {
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
                      trunc(extract(epoch from r.finished_at - r.started_at) * 1000) as duration_ms
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
                   last_finished_at = greatest(t.last_finished_at, excluded.last_finished_at)
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

/// The totals of every job that ever ran, by its name.
pub(super) async fn of_every_job(db: &mut PgConnection) -> Result<BTreeMap<String, Totals>> {
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    let counts = sqlx::query!("select job, kind, total from job_totals")
        .fetch_all(Unnamed(db))
        .await?;
    for row in counts {
        let of_job = totals.entry(row.job).or_default();
        of_job.counts.insert(row.kind, row.total);
    }
    let runs =
        sqlx::query!("select job, status, runs, duration_ms, last_finished_at from job_run_totals")
            .fetch_all(Unnamed(db))
            .await?;
    for row in runs {
        let of_job = totals.entry(row.job).or_default();
        // An abandoned run was found over long after it had died.
        if !["abandoned", "skipped"].contains(&row.status.as_str()) {
            of_job.duration_ms += row.duration_ms;
            of_job.worked += row.runs;
        }
        if row.status == "succeeded" {
            of_job.last_success = row.last_finished_at;
        }
        of_job.runs.insert(row.status, row.runs);
    }
    Ok(totals)
}
