//! What operators read: the state of the jobs, what they did, their runs.
//!
//! For operators alone: an answer may quote rows. Everything comes from the
//! ledger, so it is the same on every replica and survives a restart. Changes
//! nothing.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::VariantArray;
use utoipa::ToSchema;
use uuid::Uuid;

use super::guard::Operator;
use super::openapi::{JobName, Refuses};
use super::status::JobStatus;
use super::{App, JobPath, Refusal};
use crate::engine::{Job, Run, Status};
use crate::views::history::Page;

mod metrics;

use metrics::Metrics;

/// Runs on a page, when the caller names no number, and at the most.
const RUNS: u16 = 50;
const MOST_RUNS: u16 = 200;

/// When each job runs, and its state
#[utoipa::path(
    get,
    path = "/api/jobs",
    operation_id = "get_api_jobs",
    responses((status = 200, body = Jobs, description = "Every job."), Refuses<401>, Refuses<500>, Refuses<503>),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn jobs(_: Operator, State(app): State<App>) -> Result<Json<Jobs>, Refusal> {
    let figures = app.views.figures().await?;
    let jobs = JobStatus::of_all(app.runner.jobs, &figures);
    Ok(Json(Jobs {
        at: figures.at,
        jobs,
    }))
}

/// What all runs did together
#[utoipa::path(
    get,
    path = "/api/jobs/metrics",
    operation_id = "get_api_jobs_metrics",
    responses((status = 200, body = Metrics, description = "The figures."), Refuses<401>, Refuses<500>, Refuses<503>),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn metrics(_: Operator, State(app): State<App>) -> Result<Json<Metrics>, Refusal> {
    let figures = app.views.figures().await?;
    Ok(Json(Metrics::of(app.runner.jobs, figures)))
}

/// The runs of a job, the latest first
#[utoipa::path(
    get,
    path = "/api/jobs/{job}/runs",
    operation_id = "get_api_jobs_job_runs",
    params(("job" = JobName, Path, description = "The job."), RunsQuery),
    responses(
        (status = 200, body = RunsPage, description = "A page of them."),
        Refuses<401>, Refuses<404>, Refuses<422>, Refuses<500>, Refuses<503>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn runs(
    _: Operator,
    State(app): State<App>,
    path: JobPath,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> Result<Json<RunsPage>, Refusal> {
    let job = app.job(path)?;
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
    let runs = app.views.runs_of(job, wanted).await?;
    let mut runs =
        runs.ok_or_else(|| Refusal::bad_option("before must be the id of a run of this job"))?;
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

/// One run
#[utoipa::path(
    get,
    path = "/api/runs/{id}",
    operation_id = "get_api_runs_id",
    params(("id" = Uuid, Path, description = "The run.")),
    responses(
        (status = 200, body = Run, description = "All the ledger knows of it."),
        Refuses<401>, Refuses<404>, Refuses<500>, Refuses<503>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn run(
    _: Operator,
    State(app): State<App>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<Run>, Refusal> {
    run_of(&app, path).await.map(Json)
}

/// The run that a path names.
pub(super) async fn run_of(
    app: &App,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Run, Refusal> {
    let Path(id) = path.map_err(|_| Refusal::unknown_run())?;
    let run = app.views.run(id).await?;
    run.ok_or_else(Refusal::unknown_run)
}

/// Every job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jobs {
    /// The moment at which it was so.
    at: DateTime<Utc>,
    jobs: Vec<JobStatus>,
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
    #[schema(ignore)]
    pub(super) status: Option<Status>,
}

/// Which runs are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// Only runs in this status.
    #[param(value_type = Option<Status>, inline)]
    status: Option<String>,
    /// The `next` of the page before.
    before: Option<Uuid>,
    /// At most so many; 50 if not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

impl RunsQuery {
    fn page(self) -> Result<Page, Refusal> {
        let limit = self.limit.unwrap_or(RUNS);
        if !(1..=MOST_RUNS).contains(&limit) {
            let message = format!("limit must be between 1 and {MOST_RUNS}");
            return Err(Refusal::bad_option(message));
        }
        let status = self.status.map(|word| {
            word.parse().map_err(|_| {
                let known = Status::VARIANTS.iter().map(|status| status.name());
                let known = known.collect::<Vec<_>>().join(", ");
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
