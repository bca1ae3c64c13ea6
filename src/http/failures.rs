//! `POST /api/qstash/failures`: QStash reports a message it has given up on.
//!
//! For the scheduler alone, with both its credentials. What no retry can fix
//! is a 489, so that QStash stops repeating it; the log then says which message
//! it was. The same message reported twice counts once.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::guard::FromScheduler;
use super::openapi::Refuses;
use super::{App, Refusal};
use crate::engine::delivery_failures::{FailedMessage, Recorded};
use crate::engine::{Job, Options, Registry};
use crate::qstash::callback::{Callback, FailureCallback};
use crate::qstash::schedules::Schedules;

/// What lies between `PUBLIC_URL` and a job's name.
const ROUTE: &str = "/api/cron/";

/// A message was given up on
#[utoipa::path(
    post,
    path = "/api/qstash/failures",
    operation_id = "post_api_qstash_failures",
    request_body = FailureCallback,
    responses(
        (status = 200, body = FailureNoted, description = "It is written down."),
        Refuses<401>, Refuses<405>, Refuses<408>, Refuses<413>, Refuses<489>, Refuses<500>, Refuses<503>,
    ),
    security(("cron_secret" = [], "signature" = [])),
)]
pub(super) async fn note(
    State(app): State<App>,
    FromScheduler(request): FromScheduler,
) -> Result<Json<FailureNoted>, Refusal> {
    let callback = Callback::read(&request.body)
        .map_err(|unreadable| Refusal::bad_callback(&unreadable.to_string(), ""))?;
    let failed = failed(&app, callback)?;
    let (noted, schedule_id) = app.runner.record_failure(&failed).await?;
    let (job, message_id) = (failed.job.name, failed.callback.message_id);
    let alert = noted.name();
    if matches!(noted, Recorded::Created | Recorded::Repeated) {
        tracing::error!(job, message_id, schedule_id, alert, "QStash has given up");
    } else {
        tracing::info!(job, message_id, schedule_id, alert, "QStash had given up");
    }
    Ok(Json(FailureNoted {
        success: true,
        job,
        message_id,
        schedule_id,
        status: alert,
        message: sentence(noted),
    }))
}

/// What came of a failure callback.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "success": true,
    "job": "expire-stale-orders",
    "message_id": "msg_26hZCxZCuWyyTWPmSVBrNCtiJF",
    "schedule_id": "jarvis-expire-stale-orders",
    "status": "opened",
    "message": "the alert schedule_failing is open until the schedule succeeds again",
}))]
pub(super) struct FailureNoted {
    /// Always true.
    success: bool,
    job: &'static str,
    message_id: String,
    /// Which schedule it counts for.
    schedule_id: String,
    /// `opened`, `bumped`, `mended`, `rehearsed` or `known`.
    status: &'static str,
    /// A sentence for people.
    message: &'static str,
}

fn failed(app: &App, callback: Callback) -> Result<FailedMessage, Refusal> {
    let public_url = app.guard.verification.as_ref();
    let public_url = public_url.map(|verification| verification.public_url.as_str());
    let job = job_of(app.runner.jobs, &callback, public_url).ok_or_else(|| foreign(&callback))?;
    Ok(FailedMessage {
        job,
        options: options(&callback),
        callback,
    })
}

/// What was asked of the job, as its route read it.
fn options(callback: &Callback) -> Option<Options> {
    let (body, query) = (callback.body.as_deref(), callback.query.as_deref());
    if body.is_none() && query.is_none() {
        return None;
    }
    Options::read(body.unwrap_or_default(), query.unwrap_or_default()).ok()
}

/// The job that was called; when the address is not ours, or not ours any
/// more, the job of the schedule.
fn job_of(jobs: Registry, callback: &Callback, public_url: Option<&str>) -> Option<&'static Job> {
    let by_url = callback.url.as_deref().and_then(|url| {
        let path = match public_url {
            Some(public_url) => url.strip_prefix(public_url)?.strip_prefix(ROUTE)?,
            None => url.split_once(ROUTE)?.1,
        };
        jobs.find(path.trim_end_matches('/'))
    });
    by_url.or_else(|| {
        let id = callback.schedule_id.as_deref()?;
        let mut schedules = Schedules::deployed().schedules.iter();
        jobs.find(&schedules.find(|schedule| schedule.id == id)?.job)
    })
}

/// No job of ours is concerned, but the log keeps what there is to find it by.
fn foreign(callback: &Callback) -> Refusal {
    let about = format!(
        ": message {}, schedule {}, status {:?}, DLQ {}, address {}",
        callback.message_id,
        callback.schedule_id.as_deref().unwrap_or("unknown"),
        callback.status,
        callback.dlq_id.as_deref().unwrap_or("unknown"),
        callback.url.as_deref().unwrap_or("unknown"),
    );
    let message = "neither its url nor its scheduleId names a job of this service";
    Refusal::bad_callback(message, &about)
}

fn sentence(recorded: Recorded) -> &'static str {
    match recorded {
        Recorded::Created => "the alert schedule_failing is open until the schedule succeeds again",
        Recorded::Repeated => "the alert schedule_failing was open already",
        Recorded::AlreadyRecovered => "no alert: the schedule has succeeded since",
        Recorded::DryRun => "no alert: it was a dry run",
        Recorded::Duplicate => "known already; nothing was changed",
    }
}
