//! `POST /api/cron/{job}`: one request, one run.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::guard::Verified;
use super::refusal::RETRY_AFTER;
use super::{App, Refusal};
use crate::engine::options::OptionsError;
use crate::engine::{Answer, Call, Continuation, Run, Status, Trigger};
use crate::engine::{Job, JobError, Options};

/// Runs the job that the path names, for whoever the guard let through.
pub(super) async fn run(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    request: Verified,
) -> Result<Response, Refusal> {
    let trigger = request.caller.trigger;
    // A path that is no text names no job; the guard has spoken first.
    let name = path.map(|Path(name)| name).unwrap_or_default();
    let job = app.job(&name).map_err(|refusal| refusal.to(trigger))?;
    let options = options(&request, job).map_err(|refusal| refusal.to(trigger))?;
    if options.fan_out.is_some() && app.runner.publisher.is_none() {
        let message = "fan_out publishes a message for each shard, and QSTASH_TOKEN is not set: set it, or leave fan_out out";
        return Err(Refusal::bad_option(message.to_owned()).to(trigger));
    }
    if app.runner.stop.is_cancelled() {
        return Err(Refusal::unavailable("this process is being stopped", None));
    }
    let call = Call {
        job,
        options,
        caller: request.caller,
    };
    match app.runner.detached(call).await {
        Ok(answer) => respond(answer, trigger),
        Err(JobError::Unreachable(cause)) => Err(Refusal::unavailable(
            "the database cannot be reached, or is kept busy by another run",
            Some(format!("{cause:#}")),
        )),
        Err(stop) => Err(Refusal::internal(
            "the run could not be written into the ledger",
            stop.to_string(),
        )),
    }
}

fn options(request: &Verified, job: &Job) -> Result<Options, Refusal> {
    if !request.body.is_empty() && !is_json(&request.headers) {
        return Err(Refusal::content_type());
    }
    let options = Options::read(&request.body, &request.query).map_err(|error| match error {
        OptionsError::Json(message) => Refusal::bad_json(message),
        OptionsError::Option(message) => Refusal::bad_option(message),
    })?;
    options
        .check(job.name, job.accepts)
        .map_err(Refusal::bad_option)?;
    Ok(options)
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn respond(answer: Answer, trigger: Trigger) -> Result<Response, Refusal> {
    let (run, status, word, continuation) = match answer {
        Answer::FutureMoment => {
            let message = "as_of lies in the future: a moment can be replayed, not foretold";
            return Err(Refusal::bad_option(message.to_owned()).to(trigger));
        }
        Answer::Replayed { run, continuation } => (run, StatusCode::OK, "replayed", continuation),
        Answer::StillRunning(run) => (run, StatusCode::CONFLICT, "running", None),
        Answer::Settled {
            run,
            unreachable,
            continuation,
        } => {
            let status = status_of(&run, unreachable, trigger);
            let word = run.status.name();
            (run, status, word, continuation)
        }
    };
    let mut body = body(&run, status, word, trigger);
    if let Some(continuation) = continuation {
        say(&mut body, continuation);
    }
    let body = Json(body);
    let may_retry = matches!(
        status,
        StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE
    );
    Ok(if may_retry {
        (
            status,
            [(header::RETRY_AFTER, RETRY_AFTER.to_string())],
            body,
        )
            .into_response()
    } else {
        (status, body).into_response()
    })
}

/// QStash retries what is not 2xx, so it hears of a failure only where a
/// retry is wanted; an operator hears of everything that is not a success.
fn status_of(run: &Run, unreachable: bool, trigger: Trigger) -> StatusCode {
    match run.status {
        Status::Skipped if trigger == Trigger::Qstash => StatusCode::OK,
        Status::Skipped if reason(run) == Some("paused") => StatusCode::LOCKED,
        Status::Skipped | Status::Fenced => StatusCode::CONFLICT,
        Status::Failed if unreachable => StatusCode::SERVICE_UNAVAILABLE,
        Status::Failed | Status::Abandoned => StatusCode::INTERNAL_SERVER_ERROR,
        Status::Succeeded | Status::Partial | Status::Running => StatusCode::OK,
    }
}

fn body(run: &Run, status: StatusCode, word: &str, trigger: Trigger) -> Value {
    let mut body = json!({
        "success": status.is_success() && !run.status.is_failure(),
        "job": run.job,
        "status": word,
        "run_id": run.id,
        "message": run.message(),
        "dry_run": run.dry_run,
        "started_at": run.started_at,
        "duration_ms": run.duration_ms.unwrap_or_default(),
        "results": run.results,
    });
    if let Some(reason) = reason(run) {
        body["code"] = reason.into();
    }
    // Errors can quote rows; the ledger has them for everybody else.
    if let (Some(error), Trigger::Operator) = (&run.error, trigger) {
        body["error"] = error.as_str().into();
    }
    body
}

/// Says whether the rest of a partial run was asked for, and if not, what
/// happens now.
fn say(body: &mut Value, continuation: Continuation) {
    match continuation {
        Continuation::Published { message_id } => {
            body["continued"] = true.into();
            body["continuation_message_id"] = message_id.into();
        }
        Continuation::Not(why) => {
            let message = body["message"].as_str().unwrap_or_default();
            body["message"] = format!("{message}; {}", why.sentence()).into();
            body["continued"] = false.into();
            body["not_continued"] = why.name().into();
        }
    }
}

/// Why a run was skipped.
fn reason(run: &Run) -> Option<&str> {
    match run.status {
        Status::Skipped => run.results.get("reason")?.as_str(),
        _ => None,
    }
}
