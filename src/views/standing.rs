//! How each job stands, and what all its runs did together.
//!
//! Read only, each question in one short transaction.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::history::{Run, runs};
use super::totals::{self, Totals};
use crate::database::Unprepared;
use crate::engine::{JobError, Registry, Runner, context};

/// How a job stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The latest run that was no dry run.
    pub last_run: Option<Run>,
    /// The latest that worked and is over: neither running nor skipped.
    pub last_executed: Option<Run>,
    /// The latest that did all its work, and did not only hand it out.
    pub last_success: Option<Run>,
    /// The pause in force.
    pub pause: Option<Pause>,
}

/// Why a job does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pause {
    /// Why.
    pub reason: Option<String>,
    /// By whom.
    pub paused_by: Option<String>,
    /// Since when.
    pub paused_at: DateTime<Utc>,
    /// Until when; unset, until somebody resumes it.
    pub until: Option<DateTime<Utc>>,
}

impl Runner {
    /// How every job stands, by its name, and the moment at which it does.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn standings(&self) -> Result<(DateTime<Utc>, BTreeMap<String, Standing>), JobError> {
        let mut tx = self.reading().await?;
        standings(&mut tx, self.jobs)
            .await
            .map_err(context("read how the jobs stand"))
    }

    /// What all runs of each job did together, by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn totals(&self) -> Result<BTreeMap<String, Totals>, JobError> {
        let mut tx = self.reading().await?;
        totals::of_every_job(&mut tx)
            .await
            .map_err(context("read the totals"))
    }

    /// How many alerts stand open, by their kind; the acknowledged count too.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_alerts(&self) -> Result<BTreeMap<String, i64>, JobError> {
        let mut tx = self.reading().await?;
        open_alerts(Unprepared(&mut tx))
            .await
            .map_err(context("count the open alerts"))
    }
}

pub(super) async fn standings(
    db: &mut PgConnection,
    jobs: Registry,
) -> sqlx::Result<(DateTime<Utc>, BTreeMap<String, Standing>)> {
    let names: Vec<String> = jobs.iter().map(|job| job.name.to_owned()).collect();
    let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
        .fetch_one(Unprepared(db))
        .await?;
    let latest = latest(Unprepared(db), &names).await?;
    let ids: Vec<Uuid> = latest.iter().flat_map(Latest::ids).collect();
    let by_id: HashMap<Uuid, Run> = runs(Unprepared(db), &ids)
        .await?
        .into_iter()
        .map(|run| (run.id, run))
        .collect();
    let mut pauses = pauses(Unprepared(db)).await?;
    let run = |id: Option<Uuid>| by_id.get(&id?).cloned();
    let standings = latest.into_iter().map(|latest| {
        let standing = Standing {
            last_run: run(latest.run),
            last_executed: run(latest.executed),
            last_success: run(latest.success),
            pause: pauses.remove(&latest.job),
        };
        (latest.job, standing)
    });
    Ok((now, standings.collect()))
}

struct Latest {
    job: String,
    run: Option<Uuid>,
    executed: Option<Uuid>,
    success: Option<Uuid>,
}

impl Latest {
    fn ids(&self) -> impl Iterator<Item = Uuid> {
        [self.run, self.executed, self.success]
            .into_iter()
            .flatten()
    }
}

async fn latest(db: Unprepared<'_>, jobs: &[String]) -> sqlx::Result<Vec<Latest>> {
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

async fn pauses(db: Unprepared<'_>) -> sqlx::Result<HashMap<String, Pause>> {
    let rows = sqlx::query!(
        "select job, reason, paused_by, paused_at, nullif(until, 'infinity') as until
           from job_pauses
          where until is null
             or until > clock_timestamp()"
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

async fn open_alerts(db: Unprepared<'_>) -> sqlx::Result<BTreeMap<String, i64>> {
    let rows = sqlx::query!(
        r#"
        select kind, count(*) as "open!"
          from alerts
         where status in ('open', 'acknowledged')
         group by kind
        "#
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.kind, row.open)).collect())
}
