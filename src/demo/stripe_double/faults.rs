//! Scripted faults: which call fails, and how.
//!
//! A call meets the first fault queued for its intent, else the standing one of its operation, and
//! never more than one. Faults that strike before a request is executed are met by retries too; the
//! others wait for a call that is executed, not replayed from its key.

use std::time::Duration;

use serde_json::Value;

use super::answer::{Answer, Reply};
use crate::demo::double;

/// The scripted faults: of one intent or session, or of any.
pub(super) type Faults = double::Faults<(Operation, Option<String>), Fault>;

/// The calls that the double knows, and that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `GET /v1/payment_intents/{id}`, <https://docs.stripe.com/api/payment_intents/retrieve>.
    Retrieve,
    /// `POST /v1/payment_intents/{id}/cancel`, <https://docs.stripe.com/api/payment_intents/cancel>.
    Cancel,
    /// `GET /v1/checkout/sessions/{id}`, <https://docs.stripe.com/api/checkout/sessions/retrieve>.
    RetrieveSession,
    /// `POST /v1/checkout/sessions/{id}/expire`, <https://docs.stripe.com/api/checkout/sessions/expire>.
    ExpireSession,
}

/// One thing that can go wrong with a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This error, and nothing happens. 401, 403, 409, 429 and `parameter_…` codes come before the
    /// idempotency layer; any other is the stored result of its key, as a 500 is at Stripe
    /// (<https://docs.stripe.com/api/idempotent_requests>).
    Status {
        /// 400 to 599; `error.type` follows from it.
        status: u16,
        /// `error.code`; 404 and 429 have one of their own when this is `None`.
        code: Option<String>,
        /// The `Stripe-Should-Retry` header.
        should_retry: Option<bool>,
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u64>,
    },
    /// The call is handled only after this long, and not at all if its caller has left by then.
    Hang(Duration),
    /// The call takes effect at once, its answer comes this much later: a caller that gives up
    /// does not know the outcome. A retry with the same key is answered at once.
    HangAfterEffect(Duration),
    /// The connection is closed without an answer; nothing happened.
    Disconnect,
    /// The call takes effect, then the connection is closed without an answer.
    DisconnectAfterEffect,
    /// The intent gets this status just before the call is handled: the customer pays, say. An open
    /// session without an intent gets one, `pi_` in place of its `cs_`.
    Becomes(&'static str),
    /// 404 in Stripe's words for a key of the other mode, test in place of live.
    OtherMode,
    /// The answer is about the object of this id, not the one that was asked for, as when something
    /// in between mixes them up; nothing happened. A cancel is refused with the other intent in
    /// `error`, unless that is canceled.
    About(String),
    /// 429 `lock_timeout`: something else is working on this object
    /// (<https://docs.stripe.com/rate-limits#object-lock-timeouts>).
    LockTimeout,
    /// 200 with a body that is not JSON, as from a proxy in between; nothing happened.
    GarbledBody,
}

impl Fault {
    /// A bare [`Fault::Status`], without headers; 400 has neither `code` nor `payment_intent` then,
    /// as older API versions and other fakes answer.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            code: None,
            should_retry: None,
            retry_after: None,
        }
    }

    /// Whether it strikes before the request is executed, so that no key stores it.
    pub(super) fn strikes_first(&self) -> bool {
        match self {
            Self::Disconnect | Self::LockTimeout | Self::GarbledBody => true,
            Self::Status { status, code, .. } => {
                let parameter = |code: &str| code.starts_with("parameter_");
                matches!(status, 401 | 403 | 409 | 429) || code.as_deref().is_some_and(parameter)
            }
            _ => false,
        }
    }

    /// What a call gets that it strikes first.
    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::GarbledBody => Reply::Garbled,
            _ => self.answer(None).map_or(Reply::Cut, Reply::Answer),
        }
    }

    /// The answer it has written down, if any; an unexpected state comes with the real intent.
    pub(super) fn answer(&self, intent: Option<Value>) -> Option<Answer> {
        let (status, code, should_retry, retry_after) = match self {
            Self::Status {
                status,
                code,
                should_retry,
                retry_after,
            } => (*status, code.as_deref(), *should_retry, *retry_after),
            Self::LockTimeout => (429, Some("lock_timeout"), None, None),
            _ => return None,
        };
        let usual = match status {
            404 => Some("resource_missing"),
            429 => Some("rate_limit"),
            _ => None,
        };
        let message = format!("Scripted by the double: {status}.");
        let mut answer = Answer::error(status, code.or(usual), &message);
        if let Some(intent) = intent.filter(|_| code == Some("payment_intent_unexpected_state")) {
            answer = answer.with("payment_intent", intent);
        }
        Some(Answer {
            should_retry,
            retry_after,
            ..answer
        })
    }
}
