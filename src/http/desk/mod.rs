//! The dashboard: how the jobs stand, as pages for people.
//!
//! `GET /`            every job, the latest runs, open alerts, reports
//! `GET /jobs/{job}`  one job, and its runs
//! `GET /runs/{id}`   one run
//!
//! For operators, with the secret as the password a browser asks for. Pages
//! of plain HTML without scripts, for a phone, a desk and a printer; they may
//! load nothing, and are kept in no cache. They change nothing: what can be
//! changed is shown as the line of curl that does it. Everything that comes
//! from the database is escaped by `maud`.

use std::sync::LazyLock;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::guard::Operator;
use super::operator::{RunsQuery, page_of_runs, status_of, unread};
use super::{App, Refusal};

mod index;
mod job;
mod run;
mod words;

const STYLE: &str = include_str!("style.css");

/// The page's own style and nothing else; no form may be sent anywhere.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// `GET /`.
pub(super) async fn index(_: Operator, State(app): State<App>) -> Result<Response, Refusal> {
    let overview = app.views.overview().await.map_err(unread)?;
    Ok(page("Jobs", &index::content(app.runner.jobs, &overview)))
}

/// `GET /jobs/{job}?status=…&before=…&limit=…`.
pub(super) async fn job(
    _: Operator,
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let name = path.map(|Path(name)| name).unwrap_or_default();
    let job = app.job(&name)?;
    let page_of_runs = page_of_runs(&app, job, query).await?;
    let figures = app.views.figures().await.map_err(unread)?;
    let status = status_of(job, &figures);
    let totals = figures.totals.get(job.name).cloned().unwrap_or_default();
    let content = job::content(&status, &totals, &page_of_runs, figures.at);
    Ok(page(job.name, &content))
}

/// `GET /runs/{id}`.
pub(super) async fn run(
    _: Operator,
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let id: Option<Uuid> = path.ok().and_then(|Path(id)| id.parse().ok());
    let id = id.ok_or_else(Refusal::unknown_run)?;
    let run = app.views.run(id).await.map_err(unread)?;
    let run = run.ok_or_else(Refusal::unknown_run)?;
    let continuations = app.views.continuations_of(id).await.map_err(unread)?;
    let now = app.views.now().await.map_err(unread)?;
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
    let mut response = page.into_string().into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "private, no-store"),
        (ROBOTS, "noindex"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
