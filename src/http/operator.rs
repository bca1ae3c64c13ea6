//! What operators read: how the jobs stand, what they did, their runs.
//!
//! `GET /api/jobs`              when each job runs, how it stands
//! `GET /api/jobs/metrics`      what all runs did together
//! `GET /api/jobs/{job}/runs`   the runs of a job, the latest first
//! `GET /api/runs/{id}`         one run
//!
//! For operators alone: an answer may quote rows. Everything comes from the
//! ledger, so it is the same on every replica and survives a restart. Changes
//! nothing.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::guard::Operator;
use super::status::JobStatus;
use super::{App, Refusal};
use crate::engine::{Job, JobError, Registry, Run, Status};
use crate::views::history::Page;
use crate::views::overview::Figures;
use crate::views::standing::Standing;
use crate::views::totals::Totals;

/// Runs on a page, when the caller names no number, and at the most.
const RUNS: u16 = 50;
const MOST_RUNS: u16 = 200;

/// `GET /api/jobs`.
pub(super) async fn jobs(_: Operator, State(app): State<App>) -> Result<Json<Value>, Refusal> {
    let figures = app.views.figures().await.map_err(unread)?;
    let jobs = statuses_of(app.runner.jobs, &figures);
    Ok(Json(json!({ "at": figures.at, "jobs": jobs })))
}

/// How every job stands, in the order of the registry.
pub(super) fn statuses_of(jobs: Registry, figures: &Figures) -> Vec<JobStatus> {
    jobs.iter().map(|job| status_of(job, figures)).collect()
}

/// How one job stands.
pub(super) fn status_of(job: &Job, figures: &Figures) -> JobStatus {
    let standing = figures.standings.get(job.name).cloned().unwrap_or_default();
    let punctual = figures.punctuality.iter().find(|of| of.job == job.name);
    JobStatus::of(job, standing, punctual, figures.at)
}

/// `GET /api/jobs/metrics`.
pub(super) async fn metrics(_: Operator, State(app): State<App>) -> Result<Json<Value>, Refusal> {
    let mut figures = app.views.figures().await.map_err(unread)?;
    let over_all_jobs = |kind: &str| -> i64 {
        let totals = figures.totals.values();
        totals.filter_map(|totals| totals.counts.get(kind)).sum()
    };
    let mut alerts_open: BTreeMap<&str, i64> = BTreeMap::new();
    for open in &figures.alerts_open {
        *alerts_open.entry(&open.kind).or_default() += open.alerts;
    }
    let mut answer = json!({
        "at": figures.at,
        "payments_expired_total": over_all_jobs("orders_expired"),
        "payment_intents_canceled_total": over_all_jobs("payment_intents_canceled"),
        "stock_released_total": over_all_jobs("stock_released"),
        "rows_erased_total": over_all_jobs("rows_erased"),
        "alerts_opened_total": over_all_jobs("alerts_opened"),
        "alerts_resolved_total": over_all_jobs("alerts_resolved"),
        "alerts_escalated_total": over_all_jobs("alerts_escalated"),
        "alerts_open": alerts_open,
    });
    let jobs = app.runner.jobs.iter().map(|job| {
        let totals = figures.totals.remove(job.name).unwrap_or_default();
        let standing = figures.standings.remove(job.name).unwrap_or_default();
        (job.name.to_owned(), figures_of(job, totals, standing))
    });
    answer["jobs"] = jobs.collect();
    Ok(Json(answer))
}

/// `GET /api/jobs/{job}/runs?status=…&before=…&limit=…`.
pub(super) async fn runs(
    _: Operator,
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> Result<Json<RunsPage>, Refusal> {
    let name = path.map(|Path(name)| name).unwrap_or_default();
    let job = app.job(&name)?;
    page_of_runs(&app, job, query).await.map(Json)
}

/// The runs of a job that a query asks for.
pub(super) async fn page_of_runs(
    app: &App,
    job: &'static Job,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> Result<RunsPage, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::bad_option(error.body_text()))?;
    let page = query.page()?;
    // One more than fits says whether there is a next page.
    let wanted = Page {
        limit: page.limit + 1,
        ..page
    };
    let runs = app.views.runs_of(job, wanted).await.map_err(unread)?;
    let mut runs = runs.ok_or_else(|| {
        Refusal::bad_option("before must be the id of a run of this job".to_owned())
    })?;
    let is_last = runs.len() <= usize::from(page.limit);
    runs.truncate(page.limit.into());
    let next = (!is_last).then(|| runs.last().map(|run| run.id));
    Ok(RunsPage {
        job: job.name,
        runs,
        next: next.flatten(),
        status: page.status,
    })
}

/// `GET /api/runs/{id}`.
pub(super) async fn run(
    _: Operator,
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Run>, Refusal> {
    let id: Option<Uuid> = path.ok().and_then(|Path(id)| id.parse().ok());
    let run = match id {
        Some(id) => app.views.run(id).await.map_err(unread)?,
        None => None,
    };
    run.map(Json).ok_or_else(Refusal::unknown_run)
}

/// The figures of one job; times in milliseconds.
fn figures_of(job: &Job, totals: Totals, standing: Standing) -> Value {
    let mut counts = totals.counts;
    for kind in job.totals {
        counts.entry((*kind).to_owned()).or_default();
    }
    let last = standing.last_executed;
    json!({
        "totals": counts,
        "gauges": standing.last_success.map(|run| gauges(job, run)),
        "runs": totals.runs,
        "job_execution_time_total": totals.duration_ms,
        "job_execution_time": last.as_ref().and_then(|run| run.duration_ms),
        "last_execution_time": last.map(|run| run.started_at),
    })
}

/// The numbers of a run that do not add up over runs: how things stand.
fn gauges(job: &Job, run: Run) -> Map<String, Value> {
    let Value::Object(results) = run.results else {
        return Map::new();
    };
    let is_gauge =
        |(name, value): &(String, Value)| value.is_number() && !job.totals.contains(&name.as_str());
    results.into_iter().filter(is_gauge).collect()
}

/// A page of the runs of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunsPage {
    job: &'static str,
    /// The latest first.
    pub(super) runs: Vec<Run>,
    /// What `before` takes to get the next page; null on the last.
    pub(super) next: Option<Uuid>,
    /// Which were asked for.
    #[serde(skip)]
    pub(super) status: Option<Status>,
}

/// Which runs are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsQuery {
    status: Option<String>,
    before: Option<Uuid>,
    limit: Option<u16>,
}

impl RunsQuery {
    pub(super) fn page(self) -> Result<Page, Refusal> {
        let limit = self.limit.unwrap_or(RUNS);
        if !(1..=MOST_RUNS).contains(&limit) {
            let message = format!("limit must be between 1 and {MOST_RUNS}");
            return Err(Refusal::bad_option(message));
        }
        let status = self.status.map(|word| {
            Status::find(&word).ok_or_else(|| {
                let known = Status::ALL.map(Status::name).join(", ");
                Refusal::bad_option(format!("there is no status {word:?}; there are: {known}"))
            })
        });
        Ok(Page {
            status: status.transpose()?,
            before: self.before,
            limit,
        })
    }
}

pub(super) fn unread(stop: JobError) -> Refusal {
    match stop {
        JobError::Unreachable(cause) => {
            Refusal::unavailable("the database cannot be reached", Some(format!("{cause:#}")))
        }
        stop => Refusal::internal("the ledger could not be read", stop.to_string()),
    }
}
