//! What QStash's answers say: <https://upstash.com/docs/qstash/api/api-ratelimiting>
//! and the `{"error": …}` of every refusal.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Published;
use crate::foreign_text::ForeignText;
use crate::outbound::{self, BodyError};

/// Why a call to QStash came to nothing, by what the caller does about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No answer; it may have been done.
    #[error("QStash cannot be reached: {0}")]
    Unreachable(ForeignText),
    /// The token is wrong, or may only read.
    #[error("QStash refuses the token ({status}): {message}")]
    Denied {
        /// 401 or 403.
        status: u16,
        /// QStash's message.
        message: ForeignText,
    },
    /// The token belongs to another region.
    #[error("QStash does not know this token here: {0}")]
    WrongRegion(ForeignText),
    /// It does not exist.
    #[error("QStash does not know it: {0}")]
    NotFound(ForeignText),
    /// Too many calls, today or this second.
    #[error("QStash asks us to slow down: {0}")]
    Limited(ForeignText),
    /// QStash will not do it.
    #[error("QStash refused ({status}): {message}")]
    Refused {
        /// Such as 400, or 412 when the plan allows no more schedules.
        status: u16,
        /// QStash's message.
        message: ForeignText,
    },
    /// An answer that says nothing: 5xx, or no JSON. It may have been done.
    #[error("QStash's answer is unclear: {0}")]
    Unclear(ForeignText),
}

impl Failure {
    /// How to fix it, where the message does not say so.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Denied { status: 403, .. } => Some(
                "a read-only token can plan and list; to change anything, set QSTASH_TOKEN to one that may write",
            ),
            Self::Denied { .. } => {
                Some("QSTASH_TOKEN is not one of this account; copy it from the QStash console")
            }
            Self::WrongRegion(_) => Some(
                "each region has tokens of its own: set QSTASH_REGION to the token's (EU_CENTRAL_1 or US_EAST_1) with <REGION>_QSTASH_TOKEN, or QSTASH_URL to that region's address, such as https://qstash-us-east-1.upstash.io",
            ),
            Self::Refused { status: 412, .. } => Some(
                "the account's plan allows no more schedules (10 on the free plan, as others report): delete some, or change the plan",
            ),
            _ => None,
        }
    }
}

/// Reads an answer, or the lack of one; an empty body is JSON's null.
pub(super) async fn receive(answer: reqwest::Result<reqwest::Response>) -> Result<Value, Failure> {
    let response = answer.map_err(|error| describe(&error))?;
    let status = response.status().as_u16();
    let body = outbound::body(response)
        .await
        .map_err(|error| match error {
            BodyError::Broken(error) => describe(&error),
            error @ BodyError::TooLong => unclear(&error),
        })?;
    if !(200..300).contains(&status) {
        return Err(failure(status, &body));
    }
    if body.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&body)
        .map_err(|_| unclear(&format_args!("a {status} whose body is not JSON")))
}

/// Reads what a call answers with.
pub(super) fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| unclear(&error))
}

/// Reads one entry of a batch's answer.
pub(super) fn of_entry(entry: Value) -> Result<Published, Failure> {
    match entry["error"].as_str() {
        Some(error) => Err(Failure::Refused {
            status: 400,
            message: ForeignText::new(error),
        }),
        None => read(entry),
    }
}

/// An answer that says nothing, and why.
pub(super) fn unclear(why: &dyn ToString) -> Failure {
    Failure::Unclear(ForeignText::new(&why.to_string()))
}

fn failure(status: u16, body: &str) -> Failure {
    let body: Option<Value> = serde_json::from_str(body).ok();
    let reason = body.as_ref().and_then(|body| body["error"].as_str());
    let message = reason.map_or_else(
        || ForeignText::new(&format!("a {status} without a reason")),
        ForeignText::new,
    );
    match status {
        401 | 403 => Failure::Denied { status, message },
        404 if message.contains("region") => Failure::WrongRegion(message),
        404 => Failure::NotFound(message),
        429 => Failure::Limited(message),
        500.. => unclear(&format_args!("{status}: {message}")),
        _ => Failure::Refused { status, message },
    }
}

/// The error and its causes, without the address: it may hold a destination.
fn describe(error: &reqwest::Error) -> Failure {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        "no answer".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Failure::Unreachable(ForeignText::new(&text))
}
