//! `POST` and `DELETE /api/jobs/{job}/pause`: keep a job from running, and
//! let it run again.
//!
//! For operators alone; who did it is stored with the pause and told to the
//! audit trail. Both may be repeated: a second `POST` replaces the pause, a
//! second `DELETE` changes nothing. The answer is how the job stands then.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::cron::is_json;
use super::guard::{Acting, MOST_TEXT};
use super::operator::{status_of, unread};
use super::status::JobStatus;
use super::{App, Refusal};
use crate::engine::pause::NewPause;
use crate::engine::{Job, JobError};

/// Why a job is to be paused, and until when. Both may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseRequest {
    /// Why, in a sentence of at most 500 characters.
    #[schema(max_length = 500, example = "stocktaking")]
    reason: Option<String>,
    /// Until when, with its zone, at most a year ahead; if not given, until
    /// somebody resumes the job.
    #[schema(value_type = Option<DateTime<Utc>>)]
    until: Option<String>,
}

/// `POST /api/jobs/{job}/pause`.
pub(super) async fn pause(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    acting: Acting,
) -> Result<Json<JobStatus>, Refusal> {
    let job = named(&app, path)?;
    let wanted = wanted(&acting)?;
    let actor = acting.actor.as_deref();
    let paused = app.runner.pause(job, &wanted, actor).await;
    if !paused.map_err(unwritten)? {
        let message = "until must lie ahead, and at most a year; leave it out to pause the job until somebody resumes it";
        return Err(Refusal::bad_option(message.to_owned()));
    }
    tracing::warn!(job = job.name, actor, reason = wanted.reason, until = ?wanted.until, "job paused");
    status(&app, job).await
}

/// `DELETE /api/jobs/{job}/pause`.
pub(super) async fn resume(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    acting: Acting,
) -> Result<Json<JobStatus>, Refusal> {
    let job = named(&app, path)?;
    let actor = acting.actor.as_deref();
    if app.runner.resume(job, actor).await.map_err(unwritten)? {
        tracing::warn!(job = job.name, actor, "job resumed");
    }
    status(&app, job).await
}

fn named(app: &App, path: Result<Path<String>, PathRejection>) -> Result<&'static Job, Refusal> {
    let name = path.map(|Path(name)| name).unwrap_or_default();
    app.job(&name)
}

async fn status(app: &App, job: &Job) -> Result<Json<JobStatus>, Refusal> {
    let figures = app.views.figures().await.map_err(unread)?;
    Ok(Json(status_of(job, &figures)))
}

fn wanted(acting: &Acting) -> Result<NewPause, Refusal> {
    let request = match acting.body.trim_ascii() {
        b"" => PauseRequest::default(),
        _ if !is_json(&acting.headers) => return Err(Refusal::content_type()),
        body => read(body)?,
    };
    let reason = request.reason.as_deref().map(str::trim);
    if reason.is_some_and(|reason| reason.chars().count() > MOST_TEXT || reason.contains('\0')) {
        let message = format!("reason must be a text of at most {MOST_TEXT} characters");
        return Err(Refusal::bad_option(message));
    }
    Ok(NewPause {
        reason: reason
            .filter(|reason| !reason.is_empty())
            .map(str::to_owned),
        until: request.until.as_deref().map(moment).transpose()?,
    })
}

fn read(body: &[u8]) -> Result<PauseRequest, Refusal> {
    // serde would also take a list of the fields' values.
    if !body.starts_with(b"{") {
        return Err(Refusal::bad_json("send one JSON object".to_owned()));
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

fn unwritten(stop: JobError) -> Refusal {
    match stop {
        JobError::Unreachable(_) => unread(stop),
        stop => Refusal::internal("the pause could not be written", stop.to_string()),
    }
}
