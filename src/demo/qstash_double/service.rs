//! The way of a call: written down, authorized, handed to whom it concerns, answered.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, extract};
use serde_json::{Value, json};

use super::courier::Office;
use super::faults::{Fault, Faults};
use super::messages::{self, Messages};
use super::request::Call;
use super::{ELSEWHERE_TOKEN, READ_ONLY_TOKEN, TOKEN};

/// The double's state, shared by its owner and all connections.
pub(super) type Shared = Arc<Mutex<State>>;

/// Everything the double knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) faults: Faults,
    pub(super) messages: Messages,
    pub(super) office: Option<Arc<Office>>,
}

/// The state; a test that failed while holding it has not harmed it.
pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is answered: a status and a body.
pub(super) type Answer = (u16, Value);

/// One handler for all paths: a destination in a path holds slashes of its own.
pub(super) fn router(state: Shared) -> Router {
    Router::new().fallback(handle).with_state(state)
}

async fn handle(
    extract::State(state): extract::State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let fault = {
        let mut state = lock(&state);
        state.calls.push(call.clone());
        state.faults.take(&call)
    };
    match fault {
        Some(Fault::Disconnect) => return cut(),
        Some(Fault::Status(status)) => return respond(refuse(status, "scripted by the double")),
        Some(Fault::Hang(wait)) => tokio::time::sleep(wait).await,
        _ => {}
    }
    let answer = refusal(&call).unwrap_or_else(|| dispatch(&state, &call, fault.as_ref()));
    match fault {
        Some(Fault::DisconnectAfterEffect) => return cut(),
        Some(Fault::HangAfterEffect(wait)) => tokio::time::sleep(wait).await,
        _ => {}
    }
    respond(answer)
}

fn respond((status, body): Answer) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

/// A response whose body breaks at once: the server drops the connection before it has sent a byte.
fn cut() -> Response {
    let broken = io::Error::from(io::ErrorKind::ConnectionAborted);
    let body = futures::stream::once(async move { Err::<String, _>(broken) });
    Response::new(Body::from_stream(body))
}

/// Hands the call to whom it concerns.
fn dispatch(state: &Shared, call: &Call, fault: Option<&Fault>) -> Answer {
    let spoiled: &[usize] = match fault {
        Some(Fault::Entries(places)) => places,
        _ => &[],
    };
    if let Some(answer) = messages::answer(state, call, spoiled) {
        return answer;
    }
    refuse(
        404,
        &format!("no such route: {} {}", call.method, call.path),
    )
}

/// A token may be missing, of another region, or read-only.
fn refusal(call: &Call) -> Option<Answer> {
    let token = call
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    match token {
        Some(TOKEN) => None,
        Some(READ_ONLY_TOKEN) if !call.is_a_write() => None,
        Some(READ_ONLY_TOKEN) => Some(refuse(403, "read-only token cannot be used for this")),
        Some(ELSEWHERE_TOKEN) => Some(refuse(404, "user not found in this region")),
        _ => Some(refuse(401, "unauthorized")),
    }
}

/// A refusal as QStash words it.
pub(super) fn refuse(status: u16, error: &str) -> Answer {
    (status, json!({ "error": error }))
}
