//! The standing of each job: its latest runs, and whether it is paused.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Result;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::database::{Transaction, Unprepared};
use crate::engine::{Registry, Run};

/// The latest runs of a job, and its pause.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// The latest run that was no dry run.
    pub(crate) last_run: Option<Run>,
    /// The latest that worked and is over: neither running nor skipped.
    pub(crate) last_executed: Option<Run>,
    /// The latest that did all its work, fan-out parents left out.
    pub(crate) last_success: Option<Run>,
    /// The pause in force.
    pub(crate) pause: Option<Pause>,
}

/// Why a job does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Pause {
    /// Why.
    pub(crate) reason: Option<String>,
    /// By whom.
    pub(crate) paused_by: Option<String>,
    /// Since when.
    pub(crate) paused_at: DateTime<Utc>,
    /// Until when; unset, until an operator resumes it.
    pub(crate) until: Option<DateTime<Utc>>,
}

/// The standing of every job, by its name.
pub(super) async fn standings(
    db: &mut Transaction,
    jobs: Registry,
) -> Result<BTreeMap<String, Standing>> {
    let names: Vec<String> = jobs.iter().map(|job| job.name.to_owned()).collect();
    let latest = latest(Unprepared(db), &names).await?;
    let ids = latest
        .iter()
        .flat_map(|of| [of.run, of.executed, of.success]);
    let ids: Vec<Uuid> = ids.flatten().collect();
    let runs = Run::of_ids(Unprepared(db), &ids).await?;
    let mut pauses = pauses(Unprepared(db)).await?;
    let run = |id: Option<Uuid>| runs.iter().find(|run| Some(run.id) == id).cloned();
    let standings = latest.into_iter().map(|latest| {
        let standing = Standing {
            last_run: run(latest.run),
            last_executed: run(latest.executed),
            last_success: run(latest.success),
            pause: pauses.remove(&latest.job),
        };
        (latest.job, standing)
    });
    Ok(standings.collect())
}

struct Latest {
    job: String,
    run: Option<Uuid>,
    executed: Option<Uuid>,
    success: Option<Uuid>,
}

async fn latest(db: Unprepared<'_>, jobs: &[String]) -> Result<Vec<Latest>> {
    sqlx::query_as!(
        Latest,
        r#"
        select j.job as "job!",
               (select id
                  from job_runs r
                 where r.job = j.job
                   and not dry_run
                 order by started_at desc, id desc
                 limit 1) as run,
               (select id
                  from job_runs r
                 where r.job = j.job
                   and not dry_run
                   and status not in ('running', 'skipped')
                 order by started_at desc, id desc
                 limit 1) as executed,
               (select id
                  from job_runs r
                 where r.job = j.job
                   and not dry_run
                   and status = 'succeeded'
                   and shard >= 0
                 order by started_at desc, id desc
                 limit 1) as success
          from unnest($1::text[]) as j (job)
        "#,
        jobs,
    )
    .fetch_all(db)
    .await
}

async fn pauses(db: Unprepared<'_>) -> Result<HashMap<String, Pause>> {
    let rows = sqlx::query!(
        r#"select job, reason, paused_by, within_calendar(paused_at) as "paused_at!",
                within_calendar(nullif(until, 'infinity')) as until
           from job_pauses
          where pause_holds(until, resumed)"#
    )
    .fetch_all(db)
    .await?;
    let pauses = rows.into_iter().map(|row| {
        let pause = Pause {
            reason: row.reason,
            paused_by: row.paused_by,
            paused_at: row.paused_at,
            until: row.until,
        };
        (row.job, pause)
    });
    Ok(pauses.collect())
}
