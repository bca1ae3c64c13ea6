//! The way of a call: recorded, authorized, dispatched, answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, extract};
use serde_json::{Value, json};

use super::courier::Dispatcher;
use super::faults::{self, Fault, Faults};
use super::keys::{self, Keys};
use super::messages::{self, Messages};
use super::request::Call;
use super::schedules::Schedules;
use super::{ELSEWHERE_TOKEN, READ_ONLY_TOKEN, TOKEN};

/// The double's state, shared by its owner and all connections.
pub(super) type Shared = Arc<Mutex<State>>;

/// Everything the double knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) keys: Keys,
    pub(super) faults: Faults,
    pub(super) schedules: Schedules,
    pub(super) messages: Messages,
    pub(super) dispatcher: Option<Arc<Dispatcher>>,
}

/// The state; a test that failed while holding it has not harmed it.
pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer: a status and a body.
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
    let Some(fault) = fault else {
        return response(answer(&state, &call, None));
    };
    tokio::time::sleep(fault.hang()).await;
    let mut given = (200, Value::Null);
    if fault.lets_through() {
        given = answer(&state, &call, Some(&fault));
    }
    tokio::time::sleep(fault.hang_after_effect()).await;
    match fault.status() {
        _ if fault.cuts() => faults::cut(),
        Some(status) => response(refuse(status, "scripted by the double")),
        None => response(given),
    }
}

fn response((status, body): Answer) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // QStash answers a pause with a status only.
    if body.is_null() {
        return status.into_response();
    }
    (status, Json(body)).into_response()
}

fn answer(state: &Shared, call: &Call, fault: Option<&Fault>) -> Answer {
    let spoiled = fault.map(Fault::entries).unwrap_or_default();
    refusal(call).unwrap_or_else(|| dispatch(state, call, spoiled))
}

/// Hands the call to the module of its path; `spoiled` are the entries of a batch that fail.
fn dispatch(state: &Shared, call: &Call, spoiled: &[usize]) -> Answer {
    if let Some(answer) = keys::answer(state, call) {
        return answer;
    }
    if let Some(answer) = messages::answer(state, call, spoiled) {
        return answer;
    }
    if let Some(answer) = lock(state).schedules.answer(call) {
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

/// A refusal in QStash's form.
pub(super) fn refuse(status: u16, error: &str) -> Answer {
    (status, json!({ "error": error }))
}
