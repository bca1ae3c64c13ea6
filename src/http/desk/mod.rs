//! The desk: the state of the jobs, as pages for people.
//!
//! For operators, with the secret as the password a browser asks for. Pages
//! of plain HTML without scripts, for a phone, a desk and a printer; they may
//! load nothing, and are kept in no cache. They change nothing: what can be
//! changed is shown as the line of curl that does it. Everything that comes
//! from the database is escaped by `maud`.

use std::sync::LazyLock;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::guard::Operator;
use super::openapi::{JobName, Refuses};
use super::operator::{RunsQuery, page_of_runs, run_of};
use super::private::private;
use super::status::JobStatus;
use super::{App, JobPath, Refusal};

mod format;
mod index;
mod job;
mod run;

const STYLE: &str = include_str!("style.css");

/// The page's own style and nothing else; no form may be sent anywhere.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// The dashboard
#[utoipa::path(
    get,
    path = "/",
    operation_id = "get",
    responses(
        (status = 200, body = String, content_type = "text/html; charset=utf-8", description = "A page."),
        Refuses<401>, Refuses<500>, Refuses<503>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn index(_: Operator, State(app): State<App>) -> Result<Response, Refusal> {
    let overview = app.views.overview().await?;
    Ok(page("Jobs", &index::content(app.runner.jobs, &overview)))
}

/// A job and its runs, as a page
#[utoipa::path(
    get,
    path = "/jobs/{job}",
    operation_id = "get_jobs_job",
    params(("job" = JobName, Path, description = "The job."), RunsQuery),
    responses(
        (status = 200, body = String, content_type = "text/html; charset=utf-8", description = "A page."),
        Refuses<401>, Refuses<404>, Refuses<422>, Refuses<500>, Refuses<503>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn job(
    _: Operator,
    State(app): State<App>,
    path: JobPath,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let job = app.job(path)?;
    let runs = page_of_runs(&app, job, query).await?;
    let figures = app.views.figures().await?;
    let status = JobStatus::of(job, &figures);
    let totals = figures.totals.get(job.name).cloned().unwrap_or_default();
    let content = job::content(&status, &totals, &runs, figures.at);
    Ok(page(job.name, &content))
}

/// A run, as a page
#[utoipa::path(
    get,
    path = "/runs/{id}",
    operation_id = "get_runs_id",
    params(("id" = Uuid, Path, description = "The run.")),
    responses(
        (status = 200, body = String, content_type = "text/html; charset=utf-8", description = "A page."),
        Refuses<401>, Refuses<404>, Refuses<500>, Refuses<503>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn run(
    _: Operator,
    State(app): State<App>,
    path: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Refusal> {
    let run = run_of(&app, path).await?;
    let continuations = app.views.continuations_of(run.id).await?;
    let now = app.views.now().await?;
    let title = format!("{} {}", run.job, run.status.name());
    Ok(page(&title, &run::content(&run, &continuations, now)))
}

/// A whole page with its headers.
fn page(title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                meta name="color-scheme" content="light dark";
                title { (title) " · jarvis-cron" }
                style { (PreEscaped(STYLE)) }
            }
            body { (content) }
        }
    };
    private(page.into_string(), "text/html; charset=utf-8", &POLICY)
}
