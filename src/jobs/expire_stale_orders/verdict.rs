//! A due order, and what becomes of it.
//!
//! Pure: no I/O.

use uuid::Uuid;

use crate::database::Fault;
use crate::engine::JobError;
use crate::foreign_text::ForeignText;
use crate::shop::payment_intents::verdict::{self, Outcome};
use crate::shop::payment_intents::{IntentReport, IntentState, LocalIntent};

/// A due order with the intents Stripe is to be asked about.
#[derive(Debug, Clone)]
pub(super) struct DueOrder {
    pub(super) id: Uuid,
    /// How often it was tried before.
    pub(super) attempts: i32,
    pub(super) intents: Vec<LocalIntent>,
}

/// An order and what is to become of it.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) order_id: Uuid,
    pub(super) attempts: i32,
    pub(super) outcome: Outcome,
    pub(super) reports: Vec<IntentReport>,
    /// Why it was not expired.
    pub(super) error: Option<ForeignText>,
    /// Whether the database refused it, and not Stripe.
    pub(super) is_stuck: bool,
    /// Whether there was no time for all of it.
    pub(super) was_cut: bool,
}

impl Judged {
    /// The verdict over an order: its most binding intent decides. `is_whole`
    /// says that the reports are about every intent of the order.
    pub(super) fn new(
        order: &DueOrder,
        reports: Vec<IntentReport>,
        is_whole: bool,
        was_cut: bool,
    ) -> Self {
        let found = || reports.iter().map(|report| &report.state);
        let outcome = verdict::outcome(found(), is_whole);
        let reason = found().find(|state| verdict::outcome([*state], true) == outcome);
        let error = match reason {
            Some(IntentState::Open(status) | IntentState::PartlyPaid(status)) => {
                Some(ForeignText::new(&format!("Stripe says {status}")))
            }
            Some(state) => state.error().cloned(),
            None => (!is_whole).then(|| "not every intent was asked about yet".into()),
        };
        Self {
            order_id: order.id,
            attempts: order.attempts,
            outcome,
            reports,
            error,
            is_stuck: false,
            was_cut,
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
            error: Some(error.words()),
            is_stuck,
            ..self.clone()
        }
    }

    /// The same order, which was judged to expire and did not.
    pub(super) fn not_expired(&self) -> Self {
        Self {
            error: Some("a payment intent changed or appeared while Stripe was asked".into()),
            ..self.clone()
        }
    }

    /// Whether the next tick is to try again, whatever has changed.
    pub(super) fn comes_up_at_once(&self) -> bool {
        let is_unfinished = matches!(self.outcome, Outcome::Unfinished | Outcome::Expire);
        is_unfinished && self.attempts < verdict::MANY_ATTEMPTS
    }
}
