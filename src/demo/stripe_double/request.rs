//! Reading a request: which operation it is, who sends it, with which key and parameters.
//!
//! It judges the parameters by Stripe's rules; whether the call may go ahead is decided elsewhere.

use std::time::Instant;

use axum::extract::Query;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Uri};
use serde_json::json;

use super::answer::Problem;
use super::calls::Call;
use super::faults::Operation;

/// What a caller may give as the reason of a cancel
/// (<https://docs.stripe.com/api/payment_intents/cancel>).
const REASONS: [&str; 4] = [
    "duplicate",
    "fraudulent",
    "requested_by_customer",
    "abandoned",
];

/// A call, and what of it is not for the record.
pub(super) struct Request {
    pub(super) call: Call,
    /// The id in its path.
    pub(super) id: String,
    pub(super) bearer: Option<String>,
    readable: bool,
}

impl Request {
    pub(super) fn read(method: Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let form = if method == Method::GET {
            form(uri.query().unwrap_or_default())
        } else {
            let kind = text(CONTENT_TYPE.as_str()).unwrap_or_default();
            let as_form = kind.starts_with("application/x-www-form-urlencoded");
            let body = str::from_utf8(body).ok();
            body.filter(|body| body.is_empty() || as_form)
                .and_then(form)
        };
        let readable = form.is_some();
        let (operation, id) = operation(&method, uri.path()).unzip();
        let bearer = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let call = Call {
            at: Instant::now(),
            operation,
            method,
            path: uri.path().to_owned(),
            intent: None,
            idempotency_key: text("idempotency-key").map(str::to_owned),
            stripe_version: text("stripe-version").map(str::to_owned),
            form: form.unwrap_or_default(),
            request_id: String::new(),
            status: None,
        };
        let id = id.unwrap_or_default().to_owned();
        Self {
            call,
            id,
            bearer: bearer.map(str::to_owned),
            readable,
        }
    }

    /// Its idempotency key, where one counts: on POST.
    pub(super) fn key(&self) -> Option<&str> {
        self.call
            .idempotency_key
            .as_deref()
            .filter(|_| self.call.method == Method::POST)
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.call
            .form
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Judges the parameters (<https://docs.stripe.com/error-codes/parameter-unknown>).
    pub(super) fn check(&self, operation: Operation) -> Result<(), Problem> {
        if !self.readable {
            return Err(Problem::new(400, None, "Parameters must be form-encoded."));
        }
        let known: &[&str] = match operation {
            Operation::Retrieve => &["client_secret"],
            Operation::Cancel => &["cancellation_reason"],
            Operation::ExpireSession => &[],
        };
        let unknown = |name: &str| !known.contains(&name) && !name.starts_with("expand[");
        if let Some((name, _)) = self.call.form.iter().find(|(name, _)| unknown(name)) {
            let message = format!("Received unknown parameter: {name}");
            return Err(
                Problem::new(400, Some("parameter_unknown"), &message).with("param", json!(name))
            );
        }
        let (code, message) = match self.param("cancellation_reason") {
            Some("") => (
                Some("parameter_invalid_empty"),
                "cancellation_reason is empty.".to_owned(),
            ),
            Some(reason) if !REASONS.contains(&reason) => (
                None,
                format!("cancellation_reason must be one of {}.", REASONS.join(", ")),
            ),
            _ => return Ok(()),
        };
        Err(Problem::new(400, code, &message).with("param", json!("cancellation_reason")))
    }
}

/// The operations there are, and the id each is about.
fn operation<'a>(method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["v1", "payment_intents", id]) => Some((Operation::Retrieve, id)),
        ("POST", ["v1", "payment_intents", id, "cancel"]) => Some((Operation::Cancel, id)),
        ("POST", ["v1", "checkout", "sessions", id, "expire"]) => {
            Some((Operation::ExpireSession, id))
        }
        _ => None,
    }
}

/// The pairs of a form or a query; `None` when it is neither.
pub(super) fn form(encoded: &str) -> Option<Vec<(String, String)>> {
    let uri = Uri::try_from(format!("/?{encoded}")).ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(pairs)| pairs)
}
