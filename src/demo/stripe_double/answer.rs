//! How answers look on the wire: bodies, headers, and connections that end without either.
//!
//! Errors are built as <https://docs.stripe.com/api/errors> describes them; the wording of the
//! messages is the double's own, save where clients are known to read it.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::demo::double;

/// What the caller gets.
#[derive(Debug)]
pub(super) enum Reply {
    /// An answer of its own.
    Answer(Answer),
    /// The stored answer to an earlier request with the same key.
    Replay { answer: Answer, original: String },
    /// Nothing: the connection is closed.
    Cut,
}

/// A status, a body and the headers that name the wait before a retry.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    status: u16,
    body: String,
    should_retry: Option<bool>,
    retry_after: Option<u64>,
}

/// An error body in the making.
#[derive(Debug)]
pub(super) struct Problem {
    status: u16,
    fields: Map<String, Value>,
}

impl Problem {
    /// An error whose type follows from its status.
    pub(super) fn new(status: u16, code: Option<&str>, message: &str) -> Self {
        let kind = match (status, code) {
            (_, Some("idempotency_key_in_use")) => "idempotency_error",
            (402, _) => "card_error",
            (424 | 500.., _) => "api_error",
            _ => "invalid_request_error",
        };
        Self::of_type(kind, status, code, message)
    }

    /// The error of a key that was used for something else; it has no code.
    pub(super) fn other_request(message: &str) -> Self {
        Self::of_type("idempotency_error", 400, None, message)
    }

    fn of_type(kind: &str, status: u16, code: Option<&str>, message: &str) -> Self {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), json!(kind));
        fields.insert("message".to_owned(), json!(message));
        if let Some(code) = code {
            let page = code.replace('_', "-");
            fields.insert("code".to_owned(), json!(code));
            fields.insert(
                "doc_url".to_owned(),
                json!(format!("https://docs.stripe.com/error-codes/{page}")),
            );
        }
        Self { status, fields }
    }

    /// Names the parameter at fault, or carries the whole intent, in `error`.
    pub(super) fn with(mut self, field: &str, value: Value) -> Self {
        self.fields.insert(field.to_owned(), value);
        self
    }
}

impl Answer {
    pub(super) fn ok(body: &Value) -> Self {
        Self::plain(body.to_string())
    }

    /// 200 with a body that is not JSON.
    pub(super) fn garbled() -> Self {
        Self::plain("<html><body>Please sign in to this network".to_owned())
    }

    fn plain(body: String) -> Self {
        Self {
            status: 200,
            body,
            should_retry: None,
            retry_after: None,
        }
    }

    pub(super) fn retry(self, should_retry: Option<bool>, retry_after: Option<u64>) -> Self {
        Self {
            should_retry,
            retry_after,
            ..self
        }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let body = json!({ "error": problem.fields }).to_string();
        Self {
            status: problem.status,
            body,
            should_retry: None,
            retry_after: None,
        }
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        Self::Answer(problem.into())
    }
}

impl Reply {
    /// The status the caller sees, if any.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) | Self::Replay { answer, .. } => Some(answer.status),
            Self::Cut => None,
        }
    }

    /// The HTTP response; every one names its request
    /// (<https://docs.stripe.com/api/request_ids>).
    pub(super) fn into_response(self, request_id: &str) -> Response<Body> {
        let (answer, original) = match self {
            Self::Answer(answer) => (answer, None),
            Self::Replay { answer, original } => (answer, Some(original)),
            Self::Cut => return double::cut(),
        };
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut header = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        };
        header(CONTENT_TYPE, "application/json");
        header(HeaderName::from_static("request-id"), request_id);
        if let Some(should_retry) = answer.should_retry {
            let value = if should_retry { "true" } else { "false" };
            header(HeaderName::from_static("stripe-should-retry"), value);
        }
        if let Some(seconds) = answer.retry_after {
            header(RETRY_AFTER, &seconds.to_string());
        }
        if let Some(original) = original {
            header(HeaderName::from_static("idempotent-replayed"), "true");
            header(HeaderName::from_static("original-request"), &original);
        }
        response
    }
}
