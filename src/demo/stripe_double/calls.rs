//! The record of every call the double received.
//!
//! A call is recorded when it arrives and its status added when the answer leaves, so a call whose
//! caller left early is on record too. Credentials are not kept.

use std::time::{Duration, Instant};

use axum::http::Method;

use super::faults::Operation;

/// One call as it arrived, and what was answered.
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
    /// The `Request-Id` of the answer.
    pub request_id: String,
    /// The status answered; `None` while there is none, and always if the connection was cut or the
    /// caller left early.
    pub status: Option<u16>,
}

/// The most calls in any window of this length; `calls` are in order of arrival.
pub(super) fn most_within(calls: &[Call], span: Duration) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, call) in calls.iter().enumerate() {
        while call.at.duration_since(calls[first].at) >= span && first < last {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}
