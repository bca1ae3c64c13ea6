//! `GET /openapi.json`: every route and answer, for programs.
//!
//! `OpenAPI` 3.1, made of the annotations on the handlers and of the types
//! that they take and return. The router and the document come from one list,
//! [`super::router`]. Owns what no handler can say: who callers are, which
//! jobs there are, and how refusals look ([`Refuses`]). For operators, like
//! all else that tells how the service is built.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, ObjectBuilder, OpenApi};

use super::App;
use super::guard::Operator;
use super::pause::PauseRequest;
use super::refusal::Refusal;
use crate::engine::{Options, Registry};

mod refusals;

pub(super) use refusals::Refuses;

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi_json",
    responses((status = 200, body = Object, description = "OpenAPI 3.1."), Refuses<401>, Refuses<500>),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn document(_: Operator, State(app): State<App>) -> Response {
    Json(app.document.as_ref()).into_response()
}

/// The name of a job in a path.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct JobName(pub(super) String);

/// The document before the routes are listed.
pub(super) fn without_routes() -> OpenApi {
    <Document as utoipa::OpenApi>::openapi()
}

/// The document with the jobs that there are.
pub(super) fn with_jobs(mut document: OpenApi, jobs: Registry) -> OpenApi {
    let names = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The jobs there are."))
        .enum_values(Some(jobs.names()));
    let components = document.components.get_or_insert_default();
    components
        .schemas
        .insert("JobName".to_owned(), names.into());
    document
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "jarvis-cron",
        description = "Scheduled jobs as plain HTTPS endpoints: called by QStash, kept in Postgres. Times are RFC 3339 in UTC, durations milliseconds, money minor units. Every answer carries X-Request-Id; a method that a route does not have is 405 with Allow.",
    ),
    servers((url = "/", description = "this service")),
    components(schemas(Options, PauseRequest, Refusal)),
    modifiers(&SecuritySchemes),
)]
struct Document;

/// How callers prove who they are; the guard has the reasons.
struct SecuritySchemes;

impl utoipa::Modify for SecuritySchemes {
    fn modify(&self, document: &mut OpenApi) {
        let http = |scheme, description: &str| {
            let http = HttpBuilder::new().scheme(scheme);
            SecurityScheme::Http(http.description(Some(description)).build())
        };
        let signature = ApiKeyValue::with_description(
            "Upstash-Signature",
            "A JWT by QStash over this very URL and body; goes with cron_secret.",
        );
        let in_a_browser = "OPERATOR_SECRET as the password; the user name is the actor.";
        let cron_secret = "CRON_SECRET, as QStash forwards it.";
        let components = document.components.get_or_insert_with(Components::new);
        for (name, scheme) in [
            ("operator", http(HttpAuthScheme::Bearer, "OPERATOR_SECRET.")),
            (
                "operator_in_a_browser",
                http(HttpAuthScheme::Basic, in_a_browser),
            ),
            ("cron_secret", http(HttpAuthScheme::Bearer, cron_secret)),
            (
                "signature",
                SecurityScheme::ApiKey(ApiKey::Header(signature)),
            ),
        ] {
            components.add_security_scheme(name, scheme);
        }
    }
}
