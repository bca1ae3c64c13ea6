//! What becomes of an order, from what Stripe says of its intents.
//!
//! Pure: no I/O.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::database::Fault;
use crate::jobs::Stop;

/// A due order with the intents Stripe is to be asked about.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) id: Uuid,
    pub(super) intents: Vec<LocalIntent>,
}

/// An intent as our table has it.
#[derive(Debug, Clone)]
pub(super) struct LocalIntent {
    pub(super) id: Uuid,
    pub(super) stripe_id: String,
    pub(super) checkout_session_id: Option<String>,
    pub(super) cancel_attempts: i32,
}

/// What Stripe said of one intent.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) intent_id: Uuid,
    pub(super) word: Word,
    /// Whether a cancel was tried, so that the next gets a new key.
    pub(super) tried: bool,
}

/// Stripe's word on an intent, as far as it decides about the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Canceled, by us or found so.
    Canceled {
        reason: Option<String>,
        at: Option<DateTime<Utc>>,
        by_us: bool,
    },
    /// The money is there.
    Succeeded,
    /// The money is held for us.
    RequiresCapture,
    /// A bank is still at it.
    Processing,
    /// Stripe could not say, or says one of the statuses in which it waits.
    Unsettled { status: Option<String>, why: String },
    /// Stripe does not know it.
    Missing(String),
    /// A refusal that trying again does not mend.
    Refused(String),
    /// Our key is refused, or a 404 is not believed: no fault of the order.
    Denied(String),
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
            .min_by_key(|word| word.outcome());
        let outcome = worst.map_or(Outcome::Expire, Word::outcome);
        let error = worst.and_then(Word::error);
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
    pub(super) fn refused(&self, stop: &Stop) -> Self {
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

    /// A 404 is believed only while most others are not 404s: a key of the
    /// wrong account gives it for every intent.
    pub(super) fn distrust_missing(&mut self) {
        for told in &mut self.told {
            if let Word::Missing(why) = &told.word {
                told.word = Word::Denied(why.clone());
            }
        }
        if self.outcome == Outcome::Missing {
            self.outcome = Outcome::Denied;
        }
    }
}

impl Word {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Canceled { .. } => Outcome::Expire,
            Self::Succeeded => Outcome::Paid,
            Self::RequiresCapture => Outcome::Authorized,
            Self::Processing => Outcome::Processing,
            Self::Unsettled { .. } => Outcome::Deferred,
            Self::Missing(_) => Outcome::Missing,
            Self::Refused(_) => Outcome::Error,
            Self::Denied(_) => Outcome::Denied,
        }
    }

    /// What our tables note as the last error; an open intent is none.
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::Unsettled {
                status: Some(_), ..
            } => None,
            word => word.error(),
        }
    }

    fn error(&self) -> Option<String> {
        match self {
            Self::Unsettled { why, .. }
            | Self::Missing(why)
            | Self::Refused(why)
            | Self::Denied(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// The status our table gets: Stripe's word, `missing`, or none when
    /// Stripe did not say.
    pub(super) fn status(&self) -> Option<String> {
        match self {
            Self::Canceled { .. } => Some("canceled".to_owned()),
            Self::Succeeded => Some("succeeded".to_owned()),
            Self::RequiresCapture => Some("requires_capture".to_owned()),
            Self::Processing => Some("processing".to_owned()),
            Self::Missing(_) => Some("missing".to_owned()),
            Self::Unsettled { status, .. } => status.clone(),
            Self::Refused(_) | Self::Denied(_) => None,
        }
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
