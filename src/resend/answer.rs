//! What Resend's answers say: <https://resend.com/docs/api-reference/errors>.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::foreign_text::ForeignText;
use crate::outbound::{self, in_words};

/// A day of Resend's and a little: it says to wait until 24 hours have passed,
/// and may count them from the first mail or by the calendar.
const QUOTA_LASTS: Duration = Duration::from_mins(24 * 60 + 5);
/// A person has to correct the key or the sender.
const DENIAL_LASTS: Duration = Duration::from_hours(6);
/// How long a run waits that got no answer.
pub const OUTAGE_LASTS: Duration = Duration::from_mins(30);
/// A run is continued no sooner than that.
const SHORTEST_REST: Duration = Duration::from_mins(1);

/// Why no mail was sent, or may not have been, by what the caller does about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A mail with this key was accepted before, with another content.
    #[error("Resend has accepted this mail before")]
    AlreadySent,
    /// The mail itself is refused: most often its address.
    #[error("Resend refused the mail ({status} {name}): {message}")]
    Refused {
        /// 400, 422 or another of the 4xx.
        status: u16,
        /// Resend's name of the error.
        name: ForeignText,
        /// Resend's words.
        message: ForeignText,
    },
    /// The key, the sender or the address of the API: every other mail will
    /// fail alike.
    #[error("Resend sends nothing for us: {0}")]
    Denied(ForeignText),
    /// The quota of the day or the month is used up; nothing was sent.
    #[error("Resend's quota is used up: {said}")]
    QuotaReached {
        /// Resend's words.
        said: ForeignText,
        /// How long Resend asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Too many calls a second; nothing was sent.
    #[error("Resend asks us to slow down: {message}")]
    Limited {
        /// Resend's words.
        message: ForeignText,
        /// How long Resend asks us to wait.
        retry_after: Option<Duration>,
    },
    /// No answer, or one that says nothing: it may have been sent.
    #[error("unknown whether Resend sent the mail: {0}")]
    Unclear(ForeignText),
    /// No connection came about: surely nothing was sent.
    #[error("Resend cannot be reached: {0}")]
    Unreachable(ForeignText),
    /// The run may begin no new call.
    #[error("no time was left to send the mail")]
    NoTime,
}

impl Failure {
    /// Whether the mail may have been sent.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Unclear(_))
    }

    /// Whether every other mail will fail alike, so that no other is tried.
    #[must_use]
    pub fn stops_all(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::QuotaReached { .. })
    }

    /// After how long the same mail may pass; `None` when it is not for Resend
    /// that it waits.
    #[must_use]
    pub fn may_pass_after(&self) -> Option<Duration> {
        match self {
            Self::QuotaReached { retry_after, .. } => Some(retry_after.unwrap_or(QUOTA_LASTS)),
            Self::Denied(_) => Some(DENIAL_LASTS),
            Self::Limited { retry_after, .. } => {
                Some(retry_after.unwrap_or_default().max(SHORTEST_REST))
            }
            Self::Unclear(_) | Self::Unreachable(_) => Some(OUTAGE_LASTS),
            _ => None,
        }
    }

    /// Whether another try may help, and soon enough.
    pub(super) fn may_be_retried(&self, longest_pause: Duration) -> bool {
        match self {
            Self::Limited { retry_after, .. } => {
                retry_after.is_none_or(|pause| pause <= longest_pause)
            }
            Self::Unclear(_) | Self::Unreachable(_) => true,
            _ => false,
        }
    }

    /// How long Resend asks us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same after a try whose outcome is unknown.
    pub(super) fn unsure(self) -> Self {
        match self {
            Self::AlreadySent | Self::Unclear(_) => self,
            failure => Self::Unclear(ForeignText::new(&failure.to_string())),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    name: ForeignText,
    message: ForeignText,
}

/// Reads an answer, or the lack of one.
pub(super) async fn read(
    answer: reqwest::Result<reqwest::Response>,
) -> Result<ForeignText, Failure> {
    let unclear = |words: &str| Failure::Unclear(ForeignText::new(words));
    let response = answer.map_err(|error| {
        let words = in_words(&error);
        if error.is_connect() {
            Failure::Unreachable(words)
        } else {
            Failure::Unclear(words)
        }
    })?;
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let body = outbound::body(response)
        .await
        .map_err(|error| unclear(&error.to_string()))?;
    if (200..300).contains(&status) {
        let sent: Value = serde_json::from_str(&body).unwrap_or_default();
        let no_mail = || unclear(&format!("a {status} whose body names no mail"));
        return sent["id"]
            .as_str()
            .map(ForeignText::new)
            .ok_or_else(no_mail);
    }
    let refusal: Refusal = serde_json::from_str(&body).unwrap_or_default();
    Err(failure(status, retry_after, refusal))
}

fn failure(status: u16, retry_after: Option<Duration>, refusal: Refusal) -> Failure {
    let Refusal { name, message } = refusal;
    let said = || ForeignText::new(&format!("{status} {name}: {message}"));
    match (status, name.as_str()) {
        (409, "invalid_idempotent_request") => Failure::AlreadySent,
        (429, "daily_quota_exceeded" | "monthly_quota_exceeded") => Failure::QuotaReached {
            said: said(),
            retry_after,
        },
        (429, _) => Failure::Limited {
            message,
            retry_after,
        },
        (408 | 409 | 500.., _) => Failure::Unclear(said()),
        (400 | 413 | 422 | 451, _) if !is_about_us(&name, &message) => Failure::Refused {
            status,
            name,
            message,
        },
        _ => Failure::Denied(said()),
    }
}

/// Whether a refusal is of the key or the sender and so of every mail, although
/// its status says that this one is at fault.
fn is_about_us(name: &ForeignText, message: &ForeignText) -> bool {
    let (name, message) = (name.as_str(), message.as_str().to_ascii_lowercase());
    ["invalid_api_key", "invalid_from_address", "invalid_access"].contains(&name)
        || ["api key", "`from`", "not verified"]
            .iter()
            .any(|words| message.contains(words))
}
