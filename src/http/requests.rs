//! What every request gets: an id, its trace, and its refusal written out.
//!
//! Promises that a flood of refusals fills neither the log nor the memory:
//! each is counted, a few a second are logged, and a path is cut.

use std::any::Any;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::Refusal;
use super::refusal::PANICKED;
use super::refusals::Refusals;
use crate::foreign_text::ForeignText;
use crate::telemetry;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest path that is logged, in characters.
const MOST_PATH: usize = 200;

/// Runs the request under an id of its own, which the answer carries. What the
/// edge refuses is no request, and comes as a refusal.
pub(super) async fn identify(
    State(refusals): State<Arc<Refusals>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = Uuid::now_v7();
    let trace_id = request
        .headers()
        .get("traceparent")
        .and_then(|value| telemetry::trace_id(value.to_str().ok()?))
        .map(str::to_owned);
    let path: String = request.uri().path().chars().take(MOST_PATH).collect();
    let span = tracing::info_span!("request", request_id = %id, trace_id);
    let answer = async {
        let mut response = match request.extensions_mut().remove::<Refusal>() {
            Some(refusal) => refusal.into_response(),
            None => next.run(request).await,
        };
        if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
            log(&refusals, &refusal, &ForeignText::new(&path));
            write_out(&mut response, refusal, id);
        }
        response
    };
    let mut response = answer.instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The answer of a handler that panicked. The panic itself was logged where it
/// happened, under the id of the request.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    Refusal::panicked().into_response()
}

fn log(refusals: &Arc<Refusals>, refusal: &Refusal, path: &str) {
    let is_logged = refusals.count(refusal.code);
    let status = refusal.status.as_u16();
    let cause = refusal.cause.as_deref().or(refusal.message.as_deref());
    if refusal.code == PANICKED {
        // Its line, with the place, is there already.
    } else if refusal.status.is_server_error() {
        tracing::error!(status, path, cause, "Failed to serve a request");
    } else if is_logged {
        tracing::warn!(status, path, cause, "Refused a request");
    }
}

fn write_out(response: &mut Response, mut refusal: Refusal, id: Uuid) {
    refusal.request_id = id;
    let (parts, body) = Json(refusal).into_response().into_parts();
    *response.body_mut() = body;
    let headers = response.headers_mut();
    headers.extend(parts.headers);
    headers.remove(header::CONTENT_LENGTH);
}
