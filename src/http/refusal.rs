//! Every refusal, as status and JSON.
//!
//! A refusal is made where it is found and written out once, by
//! [`super::requests`], which knows the request's id. The cause of a 401 is
//! logged and never sent.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::engine::{JobError, Registry, Trigger};
use crate::foreign_text::ForeignText;

/// QStash gives up at this status, with the header below:
/// <https://upstash.com/docs/qstash/features/retry>.
const DO_NOT_RETRY: u16 = 489;
const NON_RETRYABLE: HeaderName = HeaderName::from_static("upstash-nonretryable-error");

/// The code of a panic, which is logged where it happens.
pub(super) const PANICKED: &str = "panicked";

/// What callers hear of a fault of ours.
const FAILED: &str = "the service failed at this request; the log has the cause";

/// Seconds after which a caller may try again.
pub(super) const RETRY_AFTER: u16 = 30;

/// Why a request was not served, as it is sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Refused, description = "Why a request was not served.", example = json!({
    "success": false,
    "error": "Unauthorized",
    "code": "unauthorized",
    "request_id": "01993f1e-7c1a-7c3e-9d55-0d4f6a0e1b2c",
}))]
pub(super) struct Refusal {
    /// Always false.
    success: bool,
    /// The status in words.
    error: &'static str,
    /// The same for programs.
    pub(super) code: &'static str,
    /// The request, as the log and `X-Request-Id` have it.
    pub(super) request_id: Uuid,
    /// What is wrong and how to fix it; a 401 has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    pub(super) message: Option<ForeignText>,
    #[serde(skip)]
    pub(super) status: StatusCode,
    /// What only our log may know.
    #[serde(skip)]
    pub(super) cause: Option<ForeignText>,
    #[serde(skip)]
    retry_after: Option<u16>,
    /// Which credentials a 401 asks for.
    #[serde(skip)]
    challenge: &'static str,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str) -> Self {
        let error = match status {
            // Their names of today, which the crate `http` does not have yet.
            StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
            StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
            status => status.canonical_reason().unwrap_or_default(),
        };
        Self {
            success: false,
            error,
            code,
            request_id: Uuid::nil(),
            message: None,
            status,
            cause: None,
            retry_after: None,
            challenge: "Bearer",
        }
    }

    fn with_message(mut self, message: impl AsRef<str>) -> Self {
        self.message = Some(ForeignText::new(message.as_ref()));
        self
    }

    fn with_cause(mut self, cause: impl AsRef<str>) -> Self {
        self.cause = Some(ForeignText::new(cause.as_ref()));
        self
    }

    /// The one answer to every wrong or missing credential.
    pub(super) fn unauthorized(cause: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized").with_cause(cause)
    }

    /// The same, where a browser may ask its user.
    pub(super) fn asking_a_browser(mut self) -> Self {
        self.challenge = "Basic realm=\"jarvis-cron\", charset=\"UTF-8\"";
        self
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found").with_message("there is no such page")
    }

    /// The same for a path that has one at its end, or two in a row.
    pub(super) fn slash_too_many() -> Self {
        Self::not_found().with_message("there is no such page: the path has a slash too many")
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
            .with_message("see the Allow header")
    }

    pub(super) fn unknown_job(known: Registry) -> Self {
        let known = known.names().join(", ");
        Self::new(StatusCode::NOT_FOUND, "unknown_job")
            .with_message(format!("there is no such job; there are: {known}"))
    }

    pub(super) fn job_not_in_use(used: Registry) -> Self {
        let used = used.names().join(", ");
        Self::new(StatusCode::NOT_FOUND, "job_not_in_use")
            .with_message(format!("this job is not in use here: JOBS says {used}"))
    }

    pub(super) fn unknown_run() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_run")
            .with_message("there is no such run, or it was pruned")
    }

    pub(super) fn unknown_report() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_report")
            .with_message("there is no such report; a week is written 2026-W05")
    }

    /// A link to a report that does not open it, whatever the cause.
    pub(super) fn bad_link() -> Self {
        Self::new(StatusCode::FORBIDDEN, "bad_link")
            .with_message("this link was changed or has expired; ask for a new one")
    }

    /// A page of another site sent an operator's browser here.
    pub(super) fn cross_site(cause: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "cross_site")
            .with_message("this was sent by a page of another site")
            .with_cause(cause)
    }

    pub(super) fn bad_json(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_json").with_message(message)
    }

    /// A failure callback about nothing of ours; the log gets `about`.
    pub(super) fn bad_callback(message: &str, about: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_callback")
            .with_message(message)
            .with_cause(format!("{message}{about}"))
            .to(Trigger::Qstash)
    }

    pub(super) fn bad_option(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_option").with_message(message)
    }

    pub(super) fn content_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type")
            .with_message("send options as JSON, with the header Content-Type: application/json")
    }

    /// A body over that many bytes.
    pub(super) fn too_large(most: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large")
            .with_message(format!("the body is over {} KiB", most / 1024))
    }

    pub(super) fn broken_body() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "broken_body").with_message("the body broke off")
    }

    pub(super) fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow_body")
            .with_message("the body did not arrive within 15 seconds")
    }

    pub(super) fn slow_head() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow_head")
            .with_message("the request's headers did not arrive within 10 seconds")
    }

    /// A head over that many bytes, or of more than a hundred fields.
    pub(super) fn large_head(most: usize) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "large_head").with_message(format!(
            "the request's headers are over {} KiB, or more than 100",
            most / 1024
        ))
    }

    pub(super) fn not_http() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "not_http").with_message("this is no HTTP/1.1 request")
    }

    /// A connection that had to go, which is told nothing: what comes unasked
    /// would be taken for the answer to the next request.
    pub(super) fn crowded_out() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "crowded_out")
            .with_cause("its connection left its place to a newer one")
    }

    /// A handler panicked.
    pub(super) fn panicked() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, PANICKED).with_message(FAILED)
    }

    /// No room, the database is away, or this process is being stopped.
    pub(super) fn unavailable(message: &str) -> Self {
        let refusal =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable").with_message(message);
        Self {
            retry_after: Some(RETRY_AFTER),
            ..refusal
        }
    }

    /// A fault that no retry can fix: QStash is answered so that it gives up at
    /// once.
    pub(super) fn to(mut self, trigger: Trigger) -> Self {
        if trigger == Trigger::Qstash
            && let Ok(status) = StatusCode::from_u16(DO_NOT_RETRY)
        {
            self.status = status;
        }
        self
    }
}

/// The engine or a view failed; the caller is not at fault.
impl From<JobError> for Refusal {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Unreachable(cause) => {
                Self::unavailable("the database cannot be reached, or is kept busy by another run")
                    .with_cause(format!("{cause:#}"))
            }
            error => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed")
                .with_message(FAILED)
                .with_cause(error.to_string()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if self.status.as_u16() == DO_NOT_RETRY {
            headers.insert(NON_RETRYABLE, HeaderValue::from_static("true"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(self.challenge),
            );
        }
        response.extensions_mut().insert(self);
        response
    }
}
