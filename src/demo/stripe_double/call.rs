//! A call: what it asks for, with which key and parameters.
//!
//! It is recorded when it arrives, so a call whose caller left early is on record too. Credentials
//! are not kept. The parameters are judged here by Stripe's rules; whether the call may go ahead is
//! decided elsewhere.

use std::time::Instant;

use axum::extract::Query;
use axum::http::{Method, Uri};

use super::answer::Answer;
use super::faults::Operation;
use crate::demo::double;

/// What a caller may give as the reason of a cancel
/// (<https://docs.stripe.com/api/payment_intents/cancel>).
const REASONS: [&str; 4] = [
    "duplicate",
    "fraudulent",
    "requested_by_customer",
    "abandoned",
];

/// One call as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it arrived.
    pub at: Instant,
    /// What it asked for; `None` when the double does not know the route.
    pub operation: Option<Operation>,
    /// Its HTTP method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// The intent it concerns, known to the double or not; for a session, that session's intent.
    pub intent: Option<String>,
    /// Its `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// Its `Stripe-Version` header; Stripe would fall back on the account's default without one
    /// (<https://docs.stripe.com/api/versioning>).
    pub stripe_version: Option<String>,
    /// Its parameters, decoded: the form of a POST, the query of a GET.
    pub form: Vec<(String, String)>,
    /// Whether the parameters could be read.
    readable: bool,
    /// The id in its path.
    pub(super) id: String,
    /// The `Request-Id` of the answer.
    pub(super) request_id: String,
}

impl Call {
    /// The call that arrived; its intent and its request id are the double's to say.
    pub(super) fn read(arrived: &double::Call) -> Self {
        let form = if arrived.method == Method::GET {
            form(&arrived.query)
        } else {
            let kind = arrived.header("content-type").unwrap_or_default();
            let as_form = kind.starts_with("application/x-www-form-urlencoded");
            let body = Some(&arrived.body).filter(|body| body.is_empty() || as_form);
            body.and_then(|body| form(body))
        };
        let (operation, id) = operation(&arrived.method, &arrived.path).unzip();
        Self {
            at: arrived.at,
            operation,
            method: arrived.method.clone(),
            path: arrived.path.clone(),
            intent: None,
            idempotency_key: arrived.header("idempotency-key").map(str::to_owned),
            stripe_version: arrived.header("stripe-version").map(str::to_owned),
            readable: form.is_some(),
            form: form.unwrap_or_default(),
            id: id.unwrap_or_default().to_owned(),
            request_id: String::new(),
        }
    }

    /// Its idempotency key, where one counts: on POST.
    pub(super) fn key(&self) -> Option<&str> {
        let key = self.idempotency_key.as_deref();
        key.filter(|_| self.method == Method::POST)
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let mut pairs = self.form.iter();
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        Some(value)
    }

    /// Judges the parameters (<https://docs.stripe.com/error-codes/parameter-unknown>).
    pub(super) fn check(&self, operation: Operation) -> Result<(), Answer> {
        if !self.readable {
            return Err(Answer::error(400, None, "Parameters must be form-encoded."));
        }
        let known: &[&str] = match operation {
            Operation::Retrieve => &["client_secret"],
            Operation::Cancel => &["cancellation_reason"],
            Operation::RetrieveSession | Operation::ExpireSession => &[],
        };
        let unknown = |name: &str| !known.contains(&name) && !name.starts_with("expand[");
        let (param, code, message) =
            if let Some((name, _)) = self.form.iter().find(|(name, _)| unknown(name)) {
                let message = format!("Received unknown parameter: {name}");
                (name.as_str(), Some("parameter_unknown"), message)
            } else {
                let (code, what) = match self.param("cancellation_reason") {
                    Some("") => (Some("parameter_invalid_empty"), "is empty.".to_owned()),
                    Some(reason) if !REASONS.contains(&reason) => {
                        (None, format!("must be one of {}.", REASONS.join(", ")))
                    }
                    _ => return Ok(()),
                };
                let message = format!("cancellation_reason {what}");
                ("cancellation_reason", code, message)
            };
        Err(Answer::error(400, code, &message).with("param", param))
    }
}

/// The operations there are, and the id each is about.
fn operation<'a>(method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["v1", "payment_intents", id]) => Some((Operation::Retrieve, id)),
        ("POST", ["v1", "payment_intents", id, "cancel"]) => Some((Operation::Cancel, id)),
        ("GET", ["v1", "checkout", "sessions", id]) => Some((Operation::RetrieveSession, id)),
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
