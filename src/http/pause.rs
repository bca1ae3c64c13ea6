//! `POST` and `DELETE /api/jobs/{job}/pause`: keep a job from running, and
//! let it run again.
//!
//! For operators alone; who did it is stored with the pause and in the audit
//! trail. Both may be repeated: a second `POST` replaces the pause, a second
//! `DELETE` changes nothing. The answer is the state of the job after it.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::cron::is_json;
use super::guard::OperatorMutation;
use super::openapi::{JobName, Refuses};
use super::status::JobStatus;
use super::{App, JobPath, Refusal};
use crate::engine::pause::NewPause;
use crate::foreign_text::{ForeignText, LONGEST};

/// Why a job is to be paused, and until when. Both may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseRequest {
    /// Why, in a sentence of at most 300 characters.
    #[schema(max_length = 300, example = "stocktaking")]
    reason: Option<String>,
    /// Until when, with its zone, at most a year ahead; if not given, until an
    /// operator resumes the job.
    #[schema(value_type = Option<DateTime<Utc>>)]
    until: Option<String>,
}

/// Keep a job from running, in place of any pause before
#[utoipa::path(
    post,
    path = "/api/jobs/{job}/pause",
    operation_id = "post_api_jobs_job_pause",
    params(
        ("job" = JobName, Path, description = "The job."),
        ("X-Actor" = Option<String>, Header, nullable = false, description = "Who asks; stored."),
    ),
    request_body(content = ref("#/components/schemas/PauseRequest"), content_type = "application/json"),
    responses(
        (status = 200, body = JobStatus, description = "The state of the job now."),
        Refuses<400>, Refuses<401>, Refuses<403>, Refuses<404>, Refuses<408>,
        Refuses<413>, Refuses<415>, Refuses<422>, Refuses<500>, Refuses<503>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn pause(
    State(app): State<App>,
    path: JobPath,
    mutation: OperatorMutation,
) -> Result<Json<JobStatus>, Refusal> {
    let job = app.job(path)?;
    let wanted = wanted(&mutation)?;
    let actor = mutation.actor.as_deref();
    if !app.runner.pause(job, &wanted, actor).await? {
        let message = "until must lie ahead, and at most a year; leave it out to pause the job until an operator resumes it";
        return Err(Refusal::bad_option(message));
    }
    tracing::warn!(job = job.name, actor, reason = wanted.reason.as_deref(), until = ?wanted.until, "Paused a job");
    let figures = app.views.figures().await?;
    Ok(Json(JobStatus::of(job, &figures)))
}

/// Let a job run again
#[utoipa::path(
    delete,
    path = "/api/jobs/{job}/pause",
    operation_id = "delete_api_jobs_job_pause",
    params(
        ("job" = JobName, Path, description = "The job."),
        ("X-Actor" = Option<String>, Header, nullable = false, description = "Who asks; stored."),
    ),
    responses(
        (status = 200, body = JobStatus, description = "The state of the job now."),
        Refuses<401>, Refuses<403>, Refuses<404>, Refuses<408>, Refuses<413>, Refuses<500>, Refuses<503>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn resume(
    State(app): State<App>,
    path: JobPath,
    mutation: OperatorMutation,
) -> Result<Json<JobStatus>, Refusal> {
    let job = app.job(path)?;
    let actor = mutation.actor.as_deref();
    if app.runner.resume(job, actor).await? {
        tracing::warn!(job = job.name, actor, "Resumed a job");
    }
    let figures = app.views.figures().await?;
    Ok(Json(JobStatus::of(job, &figures)))
}

fn wanted(mutation: &OperatorMutation) -> Result<NewPause, Refusal> {
    let request = match mutation.body.trim_ascii() {
        b"" => PauseRequest::default(),
        _ if !is_json(&mutation.headers) => return Err(Refusal::content_type()),
        body => read(body)?,
    };
    let reason = request.reason.as_deref().map(str::trim);
    if reason.is_some_and(|reason| reason.chars().count() > LONGEST || reason.contains('\0')) {
        let message = format!("reason must be a text of at most {LONGEST} characters");
        return Err(Refusal::bad_option(message));
    }
    Ok(NewPause {
        reason: reason
            .filter(|reason| !reason.is_empty())
            .map(ForeignText::new),
        until: request.until.as_deref().map(moment).transpose()?,
    })
}

fn read(body: &[u8]) -> Result<PauseRequest, Refusal> {
    // serde would also take a list of the fields' values.
    if !body.starts_with(b"{") {
        return Err(Refusal::bad_json("send one JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Refusal::bad_option(error.to_string())
        } else {
            Refusal::bad_json(error.to_string())
        }
    })
}

fn moment(text: &str) -> Result<DateTime<Utc>, Refusal> {
    DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.to_utc())
        .map_err(|_| {
            Refusal::bad_option(format!(
                "until must be a moment with its zone, such as 2026-01-31T18:00:00+01:00, and not {text:?}"
            ))
        })
}
