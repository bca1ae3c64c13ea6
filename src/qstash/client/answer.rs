//! What QStash's answers say: <https://upstash.com/docs/qstash/api/api-ratelimiting>
//! and the `{"error": …}` of every refusal.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Published;

/// Why a call to QStash came to nothing, by what the caller does about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody answered; it may have been done.
    #[error("QStash cannot be reached: {message}")]
    Unreachable {
        /// What came instead.
        message: String,
    },
    /// The token is wrong, or may only read.
    #[error("QStash refuses the token ({status}): {message}")]
    Denied {
        /// 401 or 403.
        status: u16,
        /// QStash's words.
        message: String,
    },
    /// The token belongs to another region.
    #[error("QStash does not know this token here: {message}")]
    WrongRegion {
        /// QStash's words.
        message: String,
    },
    /// There is no such thing.
    #[error("QStash knows no such thing: {message}")]
    NotFound {
        /// QStash's words.
        message: String,
    },
    /// Too many calls, today or this second.
    #[error("QStash asks us to slow down: {message}")]
    Limited {
        /// QStash's words.
        message: String,
    },
    /// QStash will not do it.
    #[error("QStash refused ({status}): {message}")]
    Refused {
        /// Such as 400, or 412 when the plan allows no more schedules.
        status: u16,
        /// QStash's words.
        message: String,
    },
    /// An answer that says nothing: 5xx, or no JSON. It may have been done.
    #[error("QStash's answer is unclear: {message}")]
    Unclear {
        /// What came instead.
        message: String,
    },
}

/// How much of QStash's words is told, in characters.
const LONGEST: usize = 300;

impl Failure {
    /// The same without a secret that QStash's words may repeat.
    pub(super) fn redact(mut self, secret: &str) -> Self {
        let (Self::Unreachable { message }
        | Self::Denied { message, .. }
        | Self::WrongRegion { message }
        | Self::NotFound { message }
        | Self::Limited { message }
        | Self::Refused { message, .. }
        | Self::Unclear { message }) = &mut self;
        *message = message.replace(secret, "***");
        self
    }

    /// What to do about it, where there is more to say than the words above.
    #[must_use]
    pub fn mend(&self) -> Option<&'static str> {
        match self {
            Self::Denied { status: 403, .. } => Some(
                "a read-only token can plan and list; to change anything, set QSTASH_TOKEN to one that may write",
            ),
            Self::Denied { .. } => {
                Some("QSTASH_TOKEN is not one of this account; copy it from the QStash console")
            }
            Self::WrongRegion { .. } => Some(
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
    let unreachable = |error: &reqwest::Error| Failure::Unreachable {
        message: in_words(error),
    };
    let response = answer.map_err(|error| unreachable(&error))?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|error| unreachable(&error))?;
    if !(200..300).contains(&status) {
        return Err(failure(status, &body));
    }
    if body.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&body).map_err(|_| Failure::Unclear {
        message: format!("a {status} whose body is not JSON"),
    })
}

/// Reads what a call answers with.
pub(super) fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| Failure::Unclear {
        message: error.to_string(),
    })
}

/// Reads one entry of a batch's answer.
pub(super) fn of_entry(entry: Value) -> Result<Published, Failure> {
    match entry["error"].as_str() {
        Some(error) => Err(Failure::Refused {
            status: 400,
            message: said(error),
        }),
        None => read(entry),
    }
}

fn failure(status: u16, body: &str) -> Failure {
    let message = serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|body| body["error"].as_str().map(said))
        .unwrap_or_else(|| format!("a {status} without a reason"));
    match status {
        401 | 403 => Failure::Denied { status, message },
        404 if message.contains("region") => Failure::WrongRegion { message },
        404 => Failure::NotFound { message },
        429 => Failure::Limited { message },
        500.. => Failure::Unclear {
            message: format!("{status}: {message}"),
        },
        _ => Failure::Refused { status, message },
    }
}

/// QStash's words as they may be shown: they may repeat a header that was
/// sent, whole, and they may be anything.
fn said(words: &str) -> String {
    let mut said = String::new();
    let mut is_secret = false;
    for word in words.split_inclusive(|c: char| c.is_whitespace()) {
        if is_secret {
            said.push_str("*** ");
        } else {
            said.push_str(word);
        }
        is_secret = word.trim_end().to_ascii_lowercase().ends_with("bearer");
    }
    let shown = said.trim_end().chars().take(LONGEST);
    shown
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The error and its causes, without the address: it may hold a destination.
fn in_words(error: &reqwest::Error) -> String {
    let mut words = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        "no answer".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
