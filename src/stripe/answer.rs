//! What Stripe's answers say, row by row of <https://docs.stripe.com/api/errors>.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Intent;
use crate::foreign_text::ForeignText;
use crate::outbound::{self, BodyError};

/// Why a call gave no intent, by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 404: another account or mode, or deleted test data. Never a cancel.
    #[error("Stripe does not know it (404): {0}")]
    Missing(ForeignText),
    /// 401, 403, or a 404 that says the object is of the other mode: the key is
    /// wrong, and every other call will fail alike.
    #[error("Stripe denied the key ({status}): {message}")]
    Denied {
        /// 401, 403 or 404.
        status: u16,
        /// Stripe's words.
        message: ForeignText,
    },
    /// Any other refusal: the state had moved on, or the call was wrong.
    #[error("Stripe refused ({status}{}): {message}", spaced(code.as_deref()))]
    Refused {
        /// 400, 402 or another of the 4xx.
        status: u16,
        /// Stripe's error code, when it gave one.
        code: Option<ForeignText>,
        /// Stripe's words.
        message: ForeignText,
        /// The intent as it truly is, when the error carries it.
        intent: Option<Box<Intent>>,
    },
    /// 409, 424, 429, 5xx, or an answer that cannot be read: what happened is
    /// unknown.
    #[error("Stripe could not answer: {message}")]
    Unavailable {
        /// What came instead.
        message: ForeignText,
        /// Whether the call may be repeated: Stripe's own word where it gave one.
        retry: bool,
        /// How long Stripe asks us to wait.
        retry_after: Option<Duration>,
    },
    /// No answer at all: refused, broken off, or out of time.
    #[error("Stripe cannot be reached: {0}")]
    Unreachable(&'static str),
    /// The run may begin no new call.
    #[error("no time was left to ask Stripe")]
    NoTime,
    /// The last look said that the call is no longer to be made.
    #[error("it was no longer to be asked for")]
    Withdrawn,
}

impl Failure {
    /// Whether another try may help, and soon enough.
    pub(super) fn may_be_retried(&self, longest_pause: Duration) -> bool {
        match self {
            Self::Unavailable {
                retry, retry_after, ..
            } => *retry && retry_after.is_none_or(|pause| pause <= longest_pause),
            Self::Unreachable(_) => true,
            _ => false,
        }
    }

    /// The same as words.
    #[must_use]
    pub fn words(&self) -> ForeignText {
        ForeignText::new(&self.to_string())
    }

    /// How long Stripe asks us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Reads an answer, or the lack of one. The body of a 2xx must be JSON: a
/// page from something in between is no answer of Stripe's.
pub(super) async fn read(answer: reqwest::Result<reqwest::Response>) -> Result<String, Failure> {
    let response = answer.map_err(|error| unreachable(&error))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = outbound::body(response).await.map_err(no_body)?;
    let is_json = serde_json::from_str::<IgnoredAny>(&body).is_ok();
    if (200..300).contains(&status) && is_json {
        return Ok(body);
    }
    Err(refusal(status, &headers, &body))
}

#[derive(Deserialize, Default)]
struct Envelope {
    #[serde(default)]
    error: Body,
}

#[derive(Deserialize, Default)]
struct Body {
    code: Option<ForeignText>,
    message: Option<ForeignText>,
    payment_intent: Option<Box<Intent>>,
}

fn refusal(status: u16, headers: &HeaderMap, body: &str) -> Failure {
    let envelope: Envelope = serde_json::from_str(body).unwrap_or_default();
    let Body {
        code,
        message,
        payment_intent: intent,
    } = envelope.error;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Stripe's own word wins over the status.
    let should_retry = header("stripe-should-retry");
    let told_to_retry = should_retry == Some("true");
    let mut message = message.unwrap_or_else(|| "no message".into());
    if let Some(id) = header("request-id").filter(|id| !id.is_empty()) {
        message = ForeignText::new(&format!("{message:.230} [{id:.60}]"));
    }
    match status {
        401 | 403 if !told_to_retry => Failure::Denied { status, message },
        404 if is_of_the_other_mode(&message) => Failure::Denied { status, message },
        404 if !told_to_retry => Failure::Missing(message),
        400..500 if !told_to_retry && !matches!(status, 408 | 409 | 424 | 429) => {
            Failure::Refused {
                status,
                code,
                message,
                intent,
            }
        }
        _ => Failure::Unavailable {
            message: ForeignText::new(&format!("{status}{}: {message}", spaced(code.as_deref()))),
            retry: told_to_retry || (status >= 400 && should_retry != Some("false")),
            retry_after: header("retry-after")
                .and_then(|seconds| seconds.trim().parse().ok())
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        },
    }
}

/// Stripe knows the object, but not under a key of this mode, test or live.
fn is_of_the_other_mode(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["live", "test"]
        .iter()
        .any(|mode| message.contains(&format!("exists in {mode} mode")))
}

/// An error code after a space, where there is one.
fn spaced(code: Option<&str>) -> String {
    code.map(|code| format!(" {code}")).unwrap_or_default()
}

/// An answer that is too long may have done what it was asked for.
fn no_body(error: BodyError) -> Failure {
    match error {
        BodyError::Broken(error) => unreachable(&error),
        BodyError::TooLong => Failure::Unavailable {
            message: ForeignText::new(&error.to_string()),
            retry: false,
            retry_after: None,
        },
    }
}

fn unreachable(error: &reqwest::Error) -> Failure {
    Failure::Unreachable(if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke off"
    })
}
