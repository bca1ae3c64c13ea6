//! `POST /api/cron/{job}`: one request, one run.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::guard::Verified;
use super::openapi::{JobName, Refuses};
use super::{App, JobPath, Refusal};
use crate::engine::options::OptionsError;
use crate::engine::{Call, Job, Options};

mod answer;

use answer::{RunAnswer, RunOrRefusal};

/// Run a job
///
/// Each option may be in the body or in the query, but not in both. A shard is written `0/4` in the query.
#[utoipa::path(
    post,
    path = "/api/cron/{job}",
    operation_id = "post_api_cron_job",
    params(
        ("job" = JobName, Path, description = "The job."),
        Options,
        ("Upstash-Message-Id" = Option<String>, Header, nullable = false, description = "QStash's message: settled once."),
        ("X-Actor" = Option<String>, Header, nullable = false, description = "Of an operator: who asks; stored."),
        ("X-Reason" = Option<String>, Header, nullable = false, description = "Of an operator: why; stored."),
    ),
    request_body(content = ref("#/components/schemas/Options"), content_type = "application/json"),
    responses(
        (status = 200, body = RunAnswer, description = "Done; or, to QStash, skipped, because another run is alive or the job is paused; or done before."),
        (status = 409, body = RunAnswer, description = "The same message is in progress, another run is alive (to an operator), or the run lost its lease.",
            headers(("Retry-After" = String, description = "Seconds after which to try again."))),
        (status = 423, body = RunAnswer, description = "The job is paused (to an operator)."),
        (status = 500, body = RunOrRefusal, description = "The job failed; the run, or what kept it from being written."),
        (status = 503, body = RunOrRefusal, description = "The database or Stripe is away; the run, if it began.",
            headers(("Retry-After" = String, description = "Seconds after which to try again."))),
        Refuses<400>, Refuses<401>, Refuses<404>, Refuses<405>, Refuses<408>,
        Refuses<413>, Refuses<415>, Refuses<422>, Refuses<489>,
    ),
    security(("cron_secret" = [], "signature" = []), ("operator" = [])),
)]
pub(super) async fn run(
    State(app): State<App>,
    path: JobPath,
    request: Verified,
) -> Result<Response, Refusal> {
    let trigger = request.caller.trigger;
    let job = app.job(path).map_err(|refusal| refusal.to(trigger))?;
    let options = options(&request, job).map_err(|refusal| refusal.to(trigger))?;
    if options.fan_out.is_some() && app.runner.publisher.is_none() {
        let message = "fan_out publishes a message for each shard, and QSTASH_TOKEN is not set: set it, or leave fan_out out";
        return Err(Refusal::bad_option(message).to(trigger));
    }
    if app.runner.stop.is_cancelled() {
        return Err(Refusal::unavailable("this process is being stopped"));
    }
    let call = Call {
        job,
        options,
        caller: request.caller,
    };
    answer::respond(app.runner.detached(call).await?, trigger)
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
