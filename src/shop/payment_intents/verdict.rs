//! What Stripe's word on its intents means: the one rule of both shop jobs.
//!
//! Pure: no I/O. Nothing with money under way is ever ended, nothing that is
//! unknown counts as ended, and whatever does not expire has a next attempt.

use super::IntentState;

/// What becomes of a due order. Ordered by precedence: the least of its
/// intents' outcomes is the order's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// An intent succeeded.
    Paid,
    /// Money is held for us.
    Authorized,
    /// A part of the money has come in.
    PartlyPaid,
    /// A bank is processing it.
    Processing,
    /// Stripe, or the database, refuses for good.
    Error,
    /// Stripe does not know an intent.
    Missing,
    /// Our key was denied.
    Denied,
    /// Stripe had no clear answer.
    Deferred,
    /// Something is still open or was not asked about: no fault of Stripe's.
    Unfinished,
    /// Every intent is canceled at Stripe.
    Expire,
}

/// The outcome of an order whose intents stand so at Stripe. `is_whole` says
/// that each of its intents is among them.
#[must_use]
pub fn outcome<'s>(states: impl IntoIterator<Item = &'s IntentState>, is_whole: bool) -> Outcome {
    let rest = if is_whole {
        Outcome::Expire
    } else {
        Outcome::Unfinished
    };
    states.into_iter().map(meaning).fold(rest, Ord::min)
}

/// Whether the open intents of an order may be ended: none of the others
/// could still bring money, and none is unknown.
#[must_use]
pub fn may_end<'s>(states: impl IntoIterator<Item = &'s IntentState>, is_whole: bool) -> bool {
    let mut states = states.into_iter();
    is_whole && states.all(|state| state.is_open() || state.is_canceled())
}

/// Whether a stale intent may be ended on its own. Money that is held is given
/// back when the order has ended.
#[must_use]
pub fn may_end_stale(state: &IntentState, order_has_ended: bool) -> bool {
    state.is_open() || (order_has_ended && *state == IntentState::RequiresCapture)
}

/// What the state of one of its intents means for an order.
pub(super) fn meaning(state: &IntentState) -> Outcome {
    match state {
        IntentState::Canceled { .. } => Outcome::Expire,
        IntentState::Succeeded => Outcome::Paid,
        IntentState::RequiresCapture => Outcome::Authorized,
        IntentState::PartlyPaid(_) => Outcome::PartlyPaid,
        IntentState::Processing => Outcome::Processing,
        IntentState::Open(_) => Outcome::Unfinished,
        IntentState::Unclear(_) => Outcome::Deferred,
        IntentState::Missing(_) => Outcome::Missing,
        IntentState::Refused(_) => Outcome::Error,
        IntentState::Denied(_) => Outcome::Denied,
    }
}

/// So many attempts that an order without a final answer is no accident.
pub const MANY_ATTEMPTS: i32 = 12;

impl Outcome {
    /// The value of `order_expirations.last_outcome`; an order that is
    /// expired has no row there.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Authorized => "authorized",
            Self::PartlyPaid => "partly_paid",
            Self::Processing => "processing",
            Self::Missing => "missing",
            Self::Error | Self::Denied => "error",
            Self::Deferred | Self::Unfinished | Self::Expire => "deferred",
        }
    }

    /// Minutes until the next attempt: the first pause, doubled at each
    /// further attempt, and the longest. What is unfinished goes on at the next
    /// tick, until it has taken so many that others must come first.
    #[must_use]
    pub fn pause(self, attempts: i32) -> (i32, i32) {
        match self {
            Self::Unfinished | Self::Expire if attempts < MANY_ATTEMPTS => (1, 1),
            Self::Unfinished | Self::Expire => (60, 60),
            Self::Deferred => (2, 60),
            Self::Denied => (5, 60),
            Self::Processing => (15, 60),
            Self::Error => (15, 24 * 60),
            Self::Paid | Self::Authorized | Self::PartlyPaid | Self::Missing => (60, 24 * 60),
        }
    }

    /// Whether an operator must look at the order: Stripe's word holds it, or
    /// it had many attempts without one.
    #[must_use]
    pub fn is_stuck(self, attempts: i32) -> bool {
        match self {
            Self::Error | Self::Denied => true,
            Self::Deferred | Self::Unfinished | Self::Expire => attempts >= MANY_ATTEMPTS,
            _ => false,
        }
    }
}
