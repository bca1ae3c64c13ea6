//! The overview: all figures, and all that the dashboard shows beside them,
//! each read in one transaction.
//!
//! Owns the lists that no other answer has: the latest runs of all jobs, the
//! kinds of open alerts, the latest weekly reports. Every list is bounded.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Result;

use super::Views;
use super::punctuality::{Punctuality, punctuality};
use super::standing::{Standing, standings};
use super::totals::{self, Totals};
use crate::database::{self, Transaction, Unprepared};
use crate::engine::{JobError, Registry, Run, context};
use crate::reports::week::IsoWeek;

/// How many rows a list has at the most.
const RUNS: i64 = 15;
const KINDS: i64 = 50;
const REPORTS: i64 = 12;

/// The figures of every job, and the alerts.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    /// The moment at which they were read.
    pub(crate) at: DateTime<Utc>,
    /// The standing of each job, by its name.
    pub(crate) standings: BTreeMap<String, Standing>,
    /// Whether each job is called at its times.
    pub(crate) punctuality: Vec<Punctuality>,
    /// What all runs of each job did together, by its name.
    pub(crate) totals: BTreeMap<String, Totals>,
    /// The open alerts, by kind and severity, the worst first.
    pub(crate) alerts_open: Vec<OpenAlerts>,
}

/// All that the dashboard shows.
#[derive(Debug, Clone)]
pub(crate) struct Overview {
    /// The figures of every job.
    pub(crate) figures: Figures,
    /// The latest runs of all jobs in use.
    pub(crate) runs: Vec<Run>,
    /// The latest weekly reports.
    pub(crate) reports: Vec<Report>,
}

/// The open alerts of a kind and severity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenAlerts {
    /// What kind of trouble, in snake case.
    pub(crate) kind: String,
    /// `info`, `warning`, `high` or `critical`.
    pub(crate) severity: String,
    /// How many there are, acknowledged ones too.
    pub(crate) alerts: i64,
    /// How many of them an operator has acknowledged.
    pub(crate) acknowledged: i64,
    /// What the latest says, in a sentence for people.
    pub(crate) latest_title: String,
    /// When the oldest was opened.
    pub(crate) oldest: DateTime<Utc>,
    /// When the latest was opened.
    pub(crate) latest: DateTime<Utc>,
}

/// Where a weekly report is found.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// The gym, as people call it.
    pub(crate) gym: String,
    /// The gym, as its address is written.
    pub(crate) slug: String,
    /// The week.
    pub(crate) week: IsoWeek,
}

impl Views {
    /// All that the dashboard shows.
    pub(crate) async fn overview(&self) -> std::result::Result<Overview, JobError> {
        let mut tx = self.reading().await?;
        overview(&mut tx, self.jobs)
            .await
            .map_err(context("read the overview"))
    }

    /// The figures of every job.
    pub(crate) async fn figures(&self) -> std::result::Result<Figures, JobError> {
        let mut tx = self.reading().await?;
        figures(&mut tx, self.jobs)
            .await
            .map_err(context("read the figures"))
    }
}

async fn overview(db: &mut Transaction, jobs: Registry) -> Result<Overview> {
    let latest = sqlx::query_scalar!(
        "select id
           from job_runs
          where job = any($2)
          order by started_at desc, id desc
          limit $1",
        RUNS,
        &jobs.names() as &[&str],
    )
    .fetch_all(Unprepared(db))
    .await?;
    Ok(Overview {
        figures: figures(db, jobs).await?,
        runs: Run::of_ids(Unprepared(db), &latest).await?,
        reports: reports(Unprepared(db)).await?,
    })
}

async fn figures(db: &mut Transaction, jobs: Registry) -> Result<Figures> {
    Ok(Figures {
        at: database::now(Unprepared(db)).await?,
        standings: standings(db, jobs).await?,
        punctuality: punctuality(db, jobs).await?,
        totals: totals::of_every_job(db).await?,
        alerts_open: alerts_open(Unprepared(db)).await?,
    })
}

async fn alerts_open(db: Unprepared<'_>) -> Result<Vec<OpenAlerts>> {
    sqlx::query_as!(
        OpenAlerts,
        r#"
        select kind, severity, count(*) as "alerts!",
               count(*) filter (where status = 'acknowledged') as "acknowledged!",
               (array_agg(title order by opened_at desc, id))[1] as "latest_title!",
               within_calendar(min(opened_at)) as "oldest!",
               within_calendar(max(opened_at)) as "latest!"
          from alerts
         where status in ('open', 'acknowledged')
         group by kind, severity
         order by array_position(array['critical', 'high', 'warning', 'info'], severity), kind
         limit $1
        "#,
        KINDS,
    )
    .fetch_all(db)
    .await
}

async fn reports(db: Unprepared<'_>) -> Result<Vec<Report>> {
    let rows = sqlx::query!(
        "select g.name, g.slug, w.iso_year, w.iso_week
           from weekly_reports w
           join gyms g on g.id = w.gym_id
          order by w.period_end desc, g.name, w.id
          limit $1",
        REPORTS,
    )
    .fetch_all(db)
    .await?;
    let reports = rows.into_iter().map(|row| Report {
        gym: row.name,
        slug: row.slug,
        week: IsoWeek {
            year: row.iso_year,
            week: row.iso_week.cast_unsigned(),
        },
    });
    Ok(reports.collect())
}
