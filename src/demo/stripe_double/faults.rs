//! Scripted faults: which call fails, and how.
//!
//! A call meets the first fault queued for its intent, else the first queued for any, else the
//! standing one, and never more than one. Faults that strike before a request is executed are met
//! by retries too; the others wait for a call that is executed, not replayed from its key.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::answer::{Answer, Problem};

/// The calls that the double knows, and that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `GET /v1/payment_intents/{id}`, <https://docs.stripe.com/api/payment_intents/retrieve>.
    Retrieve,
    /// `POST /v1/payment_intents/{id}/cancel`, <https://docs.stripe.com/api/payment_intents/cancel>.
    Cancel,
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
    /// The customer pays just before the call is handled: the intent is `succeeded`.
    PaidMeanwhile,
    /// The intent turns `processing` just before the call is handled.
    BecomesProcessing,
    /// 400 with neither `code` nor `payment_intent`, as older API versions and other fakes answer.
    ErrorWithoutCode,
    /// 429 `lock_timeout`: something else is working on this object
    /// (<https://docs.stripe.com/rate-limits#object-lock-timeouts>).
    LockTimeout,
    /// 200 with a body that is not JSON, as from a proxy in between; nothing happened.
    GarbledBody,
}

impl Fault {
    /// A bare [`Fault::Status`], without headers.
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
            Self::ErrorWithoutCode => (400, None, None, None),
            Self::GarbledBody => return Some(Answer::garbled()),
            _ => return None,
        };
        let usual = match status {
            404 => Some("resource_missing"),
            429 => Some("rate_limit"),
            _ => None,
        };
        let message = format!("Scripted by the double: {status}.");
        let mut problem = Problem::new(status, code.or(usual), &message);
        if let Some(intent) = intent.filter(|_| code == Some("payment_intent_unexpected_state")) {
            problem = problem.with("payment_intent", intent);
        }
        Some(Answer::from(problem).retry(should_retry, retry_after))
    }
}

/// All scripted faults.
#[derive(Debug, Default)]
pub(super) struct Faults {
    by_intent: HashMap<(Operation, String), VecDeque<Fault>>,
    by_operation: HashMap<Operation, VecDeque<Fault>>,
    standing: HashMap<Operation, Fault>,
}

impl Faults {
    pub(super) fn queue(&mut self, operation: Operation, id: &str, fault: Fault) {
        self.by_intent
            .entry((operation, id.to_owned()))
            .or_default()
            .push_back(fault);
    }

    pub(super) fn queue_for_any(&mut self, operation: Operation, fault: Fault) {
        self.by_operation
            .entry(operation)
            .or_default()
            .push_back(fault);
    }

    pub(super) fn always(&mut self, operation: Operation, fault: Fault) {
        self.standing.insert(operation, fault);
    }

    /// Takes the next fault for a call with these ids, if it is wanted now.
    pub(super) fn take(
        &mut self,
        operation: Operation,
        ids: &[Option<&String>],
        wanted: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        let mut own = ids.iter().flatten().map(|id| (operation, (*id).clone()));
        if let Some(key) = own.find(|key| self.by_intent.contains_key(key)) {
            let queue = self.by_intent.get_mut(&key)?;
            let fault = queue.pop_front_if(|fault| wanted(fault));
            if queue.is_empty() {
                self.by_intent.remove(&key);
            }
            return fault;
        }
        match self
            .by_operation
            .get_mut(&operation)
            .filter(|queue| !queue.is_empty())
        {
            Some(queue) => queue.pop_front_if(|fault| wanted(fault)),
            None => self
                .standing
                .get(&operation)
                .filter(|fault| wanted(fault))
                .cloned(),
        }
    }
}
