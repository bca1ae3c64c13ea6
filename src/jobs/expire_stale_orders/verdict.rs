//! What becomes of an order, from what Stripe says of its intents.
//!
//! Pure: no I/O.

use uuid::Uuid;

use crate::database::Fault;
use crate::engine::JobError;
use crate::shop::payment_intents::{LocalIntent, Told, Word};

/// A due order with the intents Stripe is to be asked about.
#[derive(Debug, Clone)]
pub(super) struct Due {
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
    pub(super) told: Vec<Told>,
    /// Why it was not expired.
    pub(super) error: Option<String>,
    /// Whether the database, not Stripe, stands in the way.
    pub(super) is_stuck: bool,
}

impl Judged {
    /// The verdict over an order: its most binding intent decides.
    pub(super) fn new(order_id: Uuid, told: Vec<Told>) -> Self {
        let worst = told
            .iter()
            .map(|told| &told.word)
            .min_by_key(|word| outcome(word));
        let outcome = worst.map_or(Outcome::Expire, outcome);
        let error = worst.and_then(error);
        Self {
            order_id,
            outcome,
            told,
            error,
            is_stuck: false,
        }
    }

    /// The same order, which the database refused to expire: stuck, or, when
    /// somebody held one of its rows, left for later.
    pub(super) fn refused(&self, stop: &JobError) -> Self {
        let is_stuck = stop.fault() != Fault::Contended;
        let outcome = match self.outcome {
            Outcome::Expire if is_stuck => Outcome::Error,
            Outcome::Expire => Outcome::Deferred,
            kept => kept,
        };
        Self {
            outcome,
            error: Some(stop.to_string()),
            is_stuck,
            ..self.clone()
        }
    }

    /// The same order, with nothing said of its intents.
    pub(super) fn without_stripes_word(&self) -> Self {
        Self {
            told: Vec::new(),
            ..self.clone()
        }
    }

    /// The same order, when a 404 is not to be believed.
    pub(super) fn distrust_missing(&mut self) {
        self.told.iter_mut().for_each(Told::distrust_missing);
        if self.outcome == Outcome::Missing {
            self.outcome = Outcome::Denied;
        }
    }
}

/// What a word on one of its intents means for an order.
fn outcome(word: &Word) -> Outcome {
    match word {
        Word::Canceled { .. } => Outcome::Expire,
        Word::Succeeded => Outcome::Paid,
        Word::RequiresCapture => Outcome::Authorized,
        Word::Processing => Outcome::Processing,
        Word::Open(_) | Word::Unclear(_) => Outcome::Deferred,
        Word::Missing(_) => Outcome::Missing,
        Word::Refused(_) => Outcome::Error,
        Word::Denied(_) => Outcome::Denied,
    }
}

/// Why the order was not expired, when it was for this word.
fn error(word: &Word) -> Option<String> {
    match word {
        Word::Open(status) => Some(format!("Stripe says {status}")),
        word => word.trouble().map(str::to_owned),
    }
}

impl Outcome {
    /// The word in `order_expirations.last_outcome`; an order that is
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
