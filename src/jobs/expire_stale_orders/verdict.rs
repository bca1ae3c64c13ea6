//! What becomes of an order, from the states of its intents at Stripe.
//!
//! Pure: no I/O.

use uuid::Uuid;

use crate::database::Fault;
use crate::engine::JobError;
use crate::shop::payment_intents::{IntentReport, IntentState, LocalIntent};

/// A due order with the intents Stripe is to be asked about.
#[derive(Debug, Clone)]
pub(super) struct DueOrder {
    pub(super) id: Uuid,
    pub(super) intents: Vec<LocalIntent>,
}

/// What becomes of an order. Ordered by precedence: the least of its
/// intents' outcomes is the order's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Paid,
    Authorized,
    Processing,
    Deferred,
    Missing,
    Error,
    Denied,
    Expire,
}

/// An order and what is to become of it.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) order_id: Uuid,
    pub(super) outcome: Outcome,
    pub(super) reports: Vec<IntentReport>,
    /// Why it was not expired.
    pub(super) error: Option<String>,
    /// Whether the database refused it, and not Stripe.
    pub(super) is_stuck: bool,
}

impl Judged {
    /// The verdict over an order: its most binding intent decides.
    pub(super) fn new(order_id: Uuid, reports: Vec<IntentReport>) -> Self {
        let worst = reports
            .iter()
            .map(|report| &report.state)
            .min_by_key(|state| outcome(state));
        let outcome = worst.map_or(Outcome::Expire, outcome);
        let error = worst.and_then(error);
        Self {
            order_id,
            outcome,
            reports,
            error,
            is_stuck: false,
        }
    }

    /// The same order, which the database refused to expire: stuck, or, when
    /// another transaction held one of its rows or it took too long, left for
    /// later.
    pub(super) fn refused(&self, error: &JobError) -> Self {
        let is_stuck = error.fault() == Fault::Data;
        let outcome = match self.outcome {
            Outcome::Expire if is_stuck => Outcome::Error,
            Outcome::Expire => Outcome::Deferred,
            kept => kept,
        };
        Self {
            outcome,
            error: Some(error.to_string()),
            is_stuck,
            ..self.clone()
        }
    }

    /// Does not believe a 404: it says nothing about the intent.
    pub(super) fn distrust_missing(&mut self) {
        self.reports
            .iter_mut()
            .for_each(IntentReport::distrust_missing);
        if self.outcome == Outcome::Missing {
            self.outcome = Outcome::Denied;
        }
    }
}

/// What the state of one of its intents means for an order.
fn outcome(state: &IntentState) -> Outcome {
    match state {
        IntentState::Canceled { .. } => Outcome::Expire,
        IntentState::Succeeded => Outcome::Paid,
        IntentState::RequiresCapture => Outcome::Authorized,
        IntentState::Processing => Outcome::Processing,
        IntentState::Open(_) | IntentState::Unclear(_) => Outcome::Deferred,
        IntentState::Missing(_) => Outcome::Missing,
        IntentState::Refused(_) => Outcome::Error,
        IntentState::Denied(_) => Outcome::Denied,
    }
}

/// Why the order was not expired, when this state is the reason.
fn error(state: &IntentState) -> Option<String> {
    match state {
        IntentState::Open(status) => Some(format!("Stripe says {status}")),
        state => state.error().map(str::to_owned),
    }
}

impl Outcome {
    /// The value of `order_expirations.last_outcome`; an order that is
    /// expired has no row there.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Authorized => "authorized",
            Self::Processing => "processing",
            Self::Deferred => "deferred",
            Self::Missing => "missing",
            Self::Error | Self::Denied | Self::Expire => "error",
        }
    }

    /// Minutes until the next attempt: the first pause, doubled at each
    /// further attempt, and the longest.
    pub(super) fn pause(self) -> (i32, i32) {
        match self {
            Self::Deferred => (2, 60),
            Self::Denied => (5, 60),
            Self::Processing => (15, 60),
            Self::Error | Self::Expire => (15, 24 * 60),
            Self::Paid | Self::Authorized | Self::Missing => (60, 24 * 60),
        }
    }
}
