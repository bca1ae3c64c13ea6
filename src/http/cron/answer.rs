//! What a caller for a run is answered: status, headers and body.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::engine::{Answer, Continuation, Run, Status, Trigger};
use crate::http::refusal::{RETRY_AFTER, Refusal};

/// What became of a call for a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "success": true,
    "job": "expire-stale-orders",
    "status": "succeeded",
    "run_id": "01993f1e-7c1a-7c3e-9d55-0d4f6a0e1b2c",
    "message": "expire-stale-orders succeeded",
    "dry_run": false,
    "started_at": "2026-01-31T12:00:00.123456Z",
    "duration_ms": 184,
    "results": { "orders_expired": 3, "stock_released": 7, "errors": [] },
}))]
pub(super) struct RunAnswer {
    /// Whether the work was done, or need not be.
    success: bool,
    job: String,
    #[schema(value_type = Outcome)]
    status: &'static str,
    run_id: Uuid,
    /// A sentence for people.
    message: String,
    dry_run: bool,
    started_at: DateTime<Utc>,
    /// 0 while it runs.
    duration_ms: i64,
    /// What was done, by the job's own counts.
    #[schema(value_type = Object)]
    results: Value,
    /// Of a skipped run: `paused` or `already_running`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<String>,
    /// Of a partial run: whether a continuation was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    continued: Option<bool>,
    /// Of a partial run that is continued: QStash's id of the message; null
    /// when only the run that it led to is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    continuation_message_id: Option<Value>,
    /// Of a partial run that is not continued: why, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    not_continued: Option<&'static str>,
    /// Why it could not go on; to operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// How a call ended. `replayed`: it had been settled before, and these are
/// its stored results. `running`: the same message is in progress.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the words of `status`, for the document alone")]
enum Outcome {
    Succeeded,
    Partial,
    Skipped,
    Failed,
    Fenced,
    Abandoned,
    Replayed,
    Running,
}

/// A run that could not go on, or why there is none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a handler answers with one or the other itself")]
pub(super) enum RunOrRefusal {
    Run(RunAnswer),
    Refused(Refusal),
}

/// The answer to a call for a run.
pub(super) fn respond(answer: Answer, trigger: Trigger) -> Result<Response, Refusal> {
    let (run, status, outcome, continuation) = match answer {
        Answer::FutureMoment => {
            let message = "as_of lies in the future: a moment can be replayed, not foretold";
            return Err(Refusal::bad_option(message).to(trigger));
        }
        Answer::Replayed { run, continuation } => (run, StatusCode::OK, "replayed", continuation),
        Answer::StillRunning(run) => (run, StatusCode::CONFLICT, "running", None),
        Answer::Settled {
            run,
            unreachable,
            continuation,
        } => {
            let status = status_of(&run, unreachable, trigger);
            let outcome = run.status.name();
            (run, status, outcome, continuation)
        }
    };
    let mut body = RunAnswer::of(run, status, outcome, trigger);
    if let Some(continuation) = continuation {
        body.say_whether_continued(continuation);
    }
    let mut response = (status, Json(body)).into_response();
    if let StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE = status {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    Ok(response)
}

/// QStash retries what is not 2xx, so it hears of a failure only where a
/// retry is wanted; an operator hears of everything that is not a success.
fn status_of(run: &Run, unreachable: bool, trigger: Trigger) -> StatusCode {
    match run.status {
        Status::Skipped if trigger == Trigger::Qstash => StatusCode::OK,
        Status::Skipped if skip_reason(run) == Some("paused") => StatusCode::LOCKED,
        Status::Skipped | Status::Fenced => StatusCode::CONFLICT,
        Status::Failed if unreachable => StatusCode::SERVICE_UNAVAILABLE,
        Status::Failed | Status::Abandoned => StatusCode::INTERNAL_SERVER_ERROR,
        Status::Succeeded | Status::Partial | Status::Running => StatusCode::OK,
    }
}

/// Why a run was skipped.
fn skip_reason(run: &Run) -> Option<&str> {
    match run.status {
        Status::Skipped => run.results.get("reason")?.as_str(),
        _ => None,
    }
}

impl RunAnswer {
    fn of(run: Run, status: StatusCode, outcome: &'static str, trigger: Trigger) -> Self {
        // A replay says too that the run could not go on.
        let has_failed = run.status.is_failure();
        Self {
            success: status.is_success() && !has_failed,
            status: outcome,
            run_id: run.id,
            message: run.message(),
            dry_run: run.dry_run,
            started_at: run.started_at,
            duration_ms: run.duration_ms.unwrap_or_default(),
            code: skip_reason(&run).map(str::to_owned),
            continued: None,
            continuation_message_id: None,
            not_continued: None,
            // Errors can quote rows; every other reader finds them in the ledger.
            error: run.error.filter(|_| trigger == Trigger::Operator),
            job: run.job,
            results: run.results,
        }
    }

    /// Says whether the rest of a partial run was asked for, and if not, what
    /// happens now.
    fn say_whether_continued(&mut self, continuation: Continuation) {
        match continuation {
            Continuation::Published { message_id } => {
                self.continued = Some(true);
                self.continuation_message_id = Some(message_id.into());
            }
            Continuation::Not(why) => {
                self.message = format!("{}; {why}", self.message);
                self.continued = Some(false);
                self.not_continued = Some(why.name());
            }
        }
    }
}
