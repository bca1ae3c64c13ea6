//! What every request gets: an id, its trace, and its refusal written out.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::Refusal;
use crate::telemetry;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs the request under an id of its own, which the answer carries.
pub(super) async fn identify(request: Request, next: Next) -> Response {
    let id = Uuid::now_v7();
    let trace_id = request
        .headers()
        .get("traceparent")
        .and_then(|value| telemetry::trace_id(value.to_str().ok()?))
        .unwrap_or_default()
        .to_owned();
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", request_id = %id, trace_id);
    let answer = async {
        let mut response = next.run(request).await;
        if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
            write_out(&mut response, refusal, id, &path);
        }
        response
    };
    let mut response = answer.instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn write_out(response: &mut Response, mut refusal: Refusal, id: Uuid, path: &str) {
    refusal.request_id = id;
    let status = refusal.status.as_u16();
    let cause = refusal.cause.as_deref().or(refusal.message.as_deref());
    if refusal.status.is_server_error() {
        tracing::error!(status, path, cause, "Failed to serve a request");
    } else {
        tracing::warn!(status, path, cause, "Refused a request");
    }
    let (parts, body) = Json(refusal).into_response().into_parts();
    *response.body_mut() = body;
    let headers = response.headers_mut();
    headers.extend(parts.headers);
    headers.remove(header::CONTENT_LENGTH);
}
