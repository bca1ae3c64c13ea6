//! Routes for users of the demo: list the intents and change their status, with curl.
//!
//! No part of Stripe's API, without credentials, and like the rest on loopback only. These calls
//! are not on record and take no faults.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::form;
use super::service::Shared;

/// All statuses there are (<https://docs.stripe.com/payments/intents>).
const STATUSES: [&str; 7] = [
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
];

#[derive(Deserialize)]
pub(super) struct Filter {
    status: Option<String>,
}

/// `GET /_double/payment_intents?status=`: a JSON list, by id.
pub(super) async fn list(State(state): State<Shared>, Query(filter): Query<Filter>) -> Json<Value> {
    let status = filter.status.as_deref().filter(|status| !status.is_empty());
    Json(state.lock().intents.list(status).into())
}

/// `POST /_double/payment_intents/{id}/status` with `status=succeeded`: the intent afterwards.
pub(super) async fn set_status(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: String,
) -> (StatusCode, Json<Value>) {
    let fields = form(&body).unwrap_or_default();
    let status = fields.iter().find(|(name, _)| name == "status");
    let status = status.map(|(_, value)| value.as_str());
    let Some(status) = status.filter(|status| STATUSES.contains(status)) else {
        let error = json!({ "error": format!("status must be one of {}", STATUSES.join(", ")) });
        return (StatusCode::BAD_REQUEST, Json(error));
    };
    let mut state = state.lock();
    state.intents.set_status(&id, status);
    if let Some(intent) = state.intents.body(&id) {
        return (StatusCode::OK, Json(intent));
    }
    let error = json!({ "error": format!("no intent {id}") });
    (StatusCode::NOT_FOUND, Json(error))
}
