//! `GET /openapi.json`: every route and answer, for programs.
//!
//! `OpenAPI` 3.1. For operators, like all else that tells how the service is
//! built. [`routes`] says what may be called, [`answers`] what comes back;
//! what operators read and send is described by the types that are read and
//! sent. A test compares the document with the router and its answers.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::guard::Operator;
use super::operator::RunsPage;
use super::pause::PauseRequest;
use super::status::JobStatus;
use super::{App, Refusal};
use crate::engine::options::Shard;
use crate::engine::{Options, Run};
use crate::views::punctuality::Punctuality;
use crate::views::standing::Pause;

mod answers;
mod parameters;
mod responses;
mod routes;

use answers::{
    FailureCallback, FailureNoted, Jobs, Live, Metrics, Ready, Refused, RunAnswer, SchedulesHealth,
};

/// `GET /openapi.json`.
pub(super) async fn document(_: Operator, State(_): State<App>) -> Result<Response, Refusal> {
    static WRITTEN: LazyLock<Result<String, String>> =
        LazyLock::new(|| written().to_json().map_err(|error| error.to_string()));
    match &*WRITTEN {
        Ok(text) => {
            Ok(([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response())
        }
        Err(cause) => Err(Refusal::internal(
            "the document could not be written",
            cause.clone(),
        )),
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "jarvis-cron",
        description = "Scheduled jobs as plain HTTPS endpoints: called by QStash, kept in Postgres. Times are RFC 3339 in UTC, durations milliseconds, money minor units. Every answer carries X-Request-Id; a method that a route does not have is 405 with Allow.",
    ),
    servers((url = "/", description = "this service")),
    components(schemas(
        FailureCallback, FailureNoted, Jobs, JobStatus, Live, Metrics, Options, Pause, PauseRequest, Punctuality, Ready, Refused,
        Run, RunAnswer, RunsPage, SchedulesHealth, Shard,
    )),
)]
struct Components;

fn written() -> utoipa::openapi::OpenApi {
    let mut document = Components::openapi();
    document.paths = routes::paths();
    if let Some(components) = &mut document.components {
        for (name, scheme) in schemes() {
            components.add_security_scheme(name, scheme);
        }
    }
    document
}

/// How callers prove who they are; design and reasons stand in the guard.
fn schemes() -> [(&'static str, SecurityScheme); 4] {
    let http = |scheme, description: &str| {
        let http = HttpBuilder::new().scheme(scheme);
        SecurityScheme::Http(http.description(Some(description)).build())
    };
    let signature = ApiKeyValue::with_description(
        "Upstash-Signature",
        "A JWT of QStash's over this very URL and body; goes with cron_secret.",
    );
    [
        ("operator", http(HttpAuthScheme::Bearer, "OPERATOR_SECRET.")),
        (
            "operator_in_a_browser",
            http(
                HttpAuthScheme::Basic,
                "OPERATOR_SECRET as the password; the user name is the actor.",
            ),
        ),
        (
            "cron_secret",
            http(
                HttpAuthScheme::Bearer,
                "CRON_SECRET, as QStash forwards it.",
            ),
        ),
        (
            "signature",
            SecurityScheme::ApiKey(ApiKey::Header(signature)),
        ),
    ]
}
