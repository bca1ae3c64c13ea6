//! How answers look on the wire: bodies, headers, and connections that end without either.
//!
//! Errors are built as <https://docs.stripe.com/api/errors> describes them; the wording of the
//! messages is the double's own, save where clients are known to read it.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response};
use serde_json::{Value, json};

use crate::demo::double;

/// What the caller gets.
#[derive(Debug)]
pub(super) enum Reply {
    /// An answer.
    Answer(Answer),
    /// 200 with a body that is not JSON.
    Garbled,
    /// Nothing: the connection is closed.
    Cut,
}

/// A status, a body, and what the headers say.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) should_retry: Option<bool>,
    pub(super) retry_after: Option<u64>,
    /// The earlier request with the same key, whose stored answer this is.
    pub(super) original: Option<String>,
}

impl Answer {
    /// 200 with this body.
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body,
            should_retry: None,
            retry_after: None,
            original: None,
        }
    }

    /// An error whose type follows from its status.
    pub(super) fn error(status: u16, code: Option<&str>, message: &str) -> Self {
        let kind = match (status, code) {
            (_, Some("idempotency_key_in_use")) => "idempotency_error",
            (402, _) => "card_error",
            (424 | 500.., _) => "api_error",
            _ => "invalid_request_error",
        };
        let body = json!({ "error": { "type": kind, "message": message } });
        let mut error = Self {
            status,
            ..Self::ok(body)
        };
        if let Some(code) = code {
            let page = code.replace('_', "-");
            error = error.with("code", code).with(
                "doc_url",
                format!("https://docs.stripe.com/error-codes/{page}"),
            );
        }
        error
    }

    /// Names the parameter at fault, or carries the whole intent, in `error`.
    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body["error"][field] = value.into();
        self
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl Reply {
    /// The HTTP response; every one names its request
    /// (<https://docs.stripe.com/api/request_ids>).
    pub(super) fn into_response(self, request_id: &str) -> Response<Body> {
        let request_id = ("request-id", Some(request_id.to_owned()));
        let (mut response, headers) = match self {
            Self::Answer(answer) => (
                double::response(answer.status, Json(answer.body)),
                vec![
                    request_id,
                    (
                        "stripe-should-retry",
                        answer.should_retry.map(|it| it.to_string()),
                    ),
                    ("retry-after", answer.retry_after.map(|it| it.to_string())),
                    (
                        "idempotent-replayed",
                        answer.original.as_ref().map(|_| "true".to_owned()),
                    ),
                    ("original-request", answer.original),
                ],
            ),
            Self::Garbled => {
                let page = "<html><body>Please sign in to this network";
                (double::response(200, page), vec![request_id])
            }
            Self::Cut => return double::cut(),
        };
        for (name, value) in headers {
            if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
                let name = HeaderName::from_static(name);
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
