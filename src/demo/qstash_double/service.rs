//! The way of a call: written down, authorized, handed to whom it concerns, answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, extract};
use serde_json::{Value, json};

use super::keys::{self, Keys};
use super::request::Call;
use super::{ELSEWHERE_TOKEN, READ_ONLY_TOKEN, TOKEN};

/// The double's state, shared by its owner and all connections.
pub(super) type Shared = Arc<Mutex<State>>;

/// Everything the double knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) keys: Keys,
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
    lock(&state).calls.push(call.clone());
    let (status, body) = match refusal(&call) {
        Some(refusal) => refusal,
        None => dispatch(&state, &call),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

fn dispatch(state: &Shared, call: &Call) -> Answer {
    let unknown = || format!("no such route: {} {}", call.method, call.path);
    keys::answer(state, call).unwrap_or_else(|| refuse(404, &unknown()))
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
