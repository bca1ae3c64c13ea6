//! The routes that the scheduler calls: a job's, which operators call too, and
//! that of messages it has given up on.

use utoipa::openapi::path::HttpMethod;

use super::super::parameters::{caller, job, options};
use super::super::responses::{either, json, with_header};
use super::{For, Route};

/// The routes that the scheduler calls.
pub(super) fn routes() -> Vec<Route> {
    vec![run(), failures()]
}

fn run() -> Route {
    let busy = "The same message is being worked on, another run is alive (to an operator), or the run lost its lease.";
    let done = "Done; or, to QStash, skipped, because another run is alive or the job is paused; or done before.";
    let run = |status, what| (status, json(what, "RunAnswer"));
    Route {
        method: HttpMethod::Post,
        path: "/api/cron/{job}",
        summary: "Run a job",
        who: For::Callers,
        parameters: [job()]
            .into_iter()
            .chain(options())
            .chain(caller())
            .collect(),
        body: Some("Options"),
        answers: vec![
            run(200, done),
            (409, with_header(json(busy, "RunAnswer"), "Retry-After")),
            run(423, "The job is paused (to an operator)."),
            (
                500,
                either(
                    "The job failed; the run, or what kept it from being written.",
                    "RunAnswer",
                    "Refused",
                ),
            ),
            (
                503,
                with_header(
                    either(
                        "The database or Stripe is away; the run, if it began.",
                        "RunAnswer",
                        "Refused",
                    ),
                    "Retry-After",
                ),
            ),
        ],
        refusals: &[400, 401, 404, 405, 408, 413, 415, 422, 489],
    }
}

fn failures() -> Route {
    Route {
        method: HttpMethod::Post,
        path: "/api/qstash/failures",
        summary: "A message was given up on",
        who: For::Scheduler,
        parameters: Vec::new(),
        body: Some("FailureCallback"),
        answers: vec![(200, json("It is written down.", "FailureNoted"))],
        refusals: &[401, 405, 408, 413, 489, 500, 503],
    }
}
