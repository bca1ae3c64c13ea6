//! The way of a call: recorded, authorized, dispatched, answered.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Response};
use axum::{Json, Router, extract};
use serde_json::{Value, json};

use super::courier::Dispatcher;
use super::keys::{self, Keys};
use super::messages::{self, Messages};
use super::schedules::Schedules;
use super::{ELSEWHERE_TOKEN, Fault, READ_ONLY_TOKEN, TOKEN};
use crate::demo::double::{self, Call, Faults};

/// The double's state, shared by its owner and all connections.
pub(super) type Shared = double::Shared<State>;

/// Everything the double knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) keys: Keys,
    pub(super) faults: Faults<(String, String), Fault>,
    pub(super) schedules: Schedules,
    pub(super) messages: Messages,
    pub(super) dispatcher: Option<Arc<Dispatcher>>,
}

/// An answer: a status and a body.
pub(super) type Answer = (u16, Value);

/// One handler for all paths: a destination in a path holds slashes of its own.
pub(super) fn router(state: Shared) -> Router {
    Router::new().fallback(handle).with_state(state)
}

async fn handle(extract::State(state): extract::State<Shared>, call: Call) -> Response<Body> {
    let fault = {
        let mut state = state.lock();
        state.calls.push(call.clone());
        state.faults.take(|(method, path)| {
            call.method == method.as_str() && call.path.contains(path.as_str())
        })
    };
    let mut failing: &[usize] = &[];
    match &fault {
        Some(Fault::Status(status)) => return response(scripted(*status)),
        Some(Fault::Disconnect) => return double::cut(),
        Some(Fault::Hang(wait)) => tokio::time::sleep(*wait).await,
        Some(Fault::Entries(entries)) => failing = entries,
        _ => {}
    }
    let given = refusal(&call).unwrap_or_else(|| dispatch(&state, &call, failing));
    match &fault {
        Some(Fault::HangAfterEffect(wait)) => tokio::time::sleep(*wait).await,
        Some(Fault::StatusAfterEffect(status)) => return response(scripted(*status)),
        Some(Fault::DisconnectAfterEffect) => return double::cut(),
        _ => {}
    }
    response(given)
}

fn scripted(status: u16) -> Answer {
    refuse(status, "scripted by the double")
}

fn response((status, body): Answer) -> Response<Body> {
    // QStash answers a pause with a status only.
    if body.is_null() {
        return double::response(status, ());
    }
    double::response(status, Json(body))
}

/// Hands the call to the module of its path; `failing` are the entries of a batch that fail.
fn dispatch(state: &Shared, call: &Call, failing: &[usize]) -> Answer {
    keys::answer(state, call)
        .or_else(|| messages::answer(state, call, failing))
        .or_else(|| state.lock().schedules.answer(call))
        .unwrap_or_else(|| {
            let Call { method, path, .. } = call;
            refuse(404, &format!("no such route: {method} {path}"))
        })
}

/// A token may be missing, of another region, or read-only.
fn refusal(call: &Call) -> Option<Answer> {
    match call.bearer() {
        Some(TOKEN) => None,
        Some(READ_ONLY_TOKEN) if call.method == Method::GET => None,
        Some(READ_ONLY_TOKEN) => Some(refuse(403, "read-only token cannot be used for this")),
        Some(ELSEWHERE_TOKEN) => Some(refuse(404, "user not found in this region")),
        _ => Some(refuse(401, "unauthorized")),
    }
}

/// A refusal in QStash's form.
pub(super) fn refuse(status: u16, error: &str) -> Answer {
    (status, json!({ "error": error }))
}
