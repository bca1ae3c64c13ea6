//! Totals: what all runs of a job did together.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Result;

use crate::database::{Transaction, Unprepared};

/// What all runs of one job did together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// The job's own counts, by their names in its results.
    pub(crate) counts: BTreeMap<String, i64>,
    /// How many runs ended in each status.
    pub(crate) runs: BTreeMap<String, i64>,
    /// Milliseconds of all runs that were neither skipped nor abandoned.
    pub(crate) duration_ms: i64,
    /// How many those runs were.
    pub(crate) worked: i64,
    /// When the latest success ended, fan-out parents left out.
    pub(crate) last_success: Option<DateTime<Utc>>,
}

/// The totals of every job that ever ran, by its name.
pub(super) async fn of_every_job(db: &mut Transaction) -> Result<BTreeMap<String, Totals>> {
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    let counts = sqlx::query!("select job, kind, total from job_totals")
        .fetch_all(Unprepared(db))
        .await?;
    for row in counts {
        let of_job = totals.entry(row.job).or_default();
        of_job.counts.insert(row.kind, row.total);
    }
    let runs = sqlx::query!(
        "select job, status, runs, duration_ms,
                within_calendar(last_finished_at) as last_finished_at
           from job_run_totals"
    )
    .fetch_all(Unprepared(db))
    .await?;
    for row in runs {
        let of_job = totals.entry(row.job).or_default();
        // An abandoned run is found long after it had died.
        if !["abandoned", "skipped"].contains(&row.status.as_str()) {
            of_job.duration_ms = of_job.duration_ms.saturating_add(row.duration_ms);
            of_job.worked = of_job.worked.saturating_add(row.runs);
        }
        if row.status == "succeeded" {
            of_job.last_success = row.last_finished_at;
        }
        of_job.runs.insert(row.status, row.runs);
    }
    Ok(totals)
}
