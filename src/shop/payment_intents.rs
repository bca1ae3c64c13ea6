//! Payment intents: fetching them from Stripe, ending them, writing the result.
//!
//! Owns what every job that settles intents needs: one intent is read and
//! ended at Stripe ([`fetch()`], [`end`]), the answers become
//! [`IntentState`]s, and [`sync`] writes them into our rows. Promises that only
//! an answer of Stripe changes a status, that an error on the way never does,
//! and that a [`Breaker`] stops a run whose every call fails. Which intents are
//! fetched, and what becomes of their orders, is each job's business.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::stripe::{Failure, Intent};

/// How many are fetched at the same time; the rate limit is Stripe's own.
pub const AT_ONCE: usize = 8;

mod breaker;
mod fetch;
mod sync;

pub use breaker::Breaker;
pub use fetch::{end, fetch, prove};
pub use sync::{Synced, sync};

/// An intent as our table has it.
#[derive(Debug, Clone)]
pub struct LocalIntent {
    /// The id of our row.
    pub id: Uuid,
    /// Stripe's id, `pi_…`.
    pub stripe_id: String,
    /// The Checkout session that owns it, if any.
    pub checkout_session_id: Option<String>,
    /// How often a cancel was tried before.
    pub cancel_attempts: i32,
}

/// What Stripe answered about one intent.
#[derive(Debug, Clone)]
pub struct IntentReport {
    /// The intent.
    pub intent: LocalIntent,
    /// Its state at Stripe.
    pub state: IntentState,
    /// Whether a cancel was tried, so that the next gets a new key.
    pub tried: bool,
}

/// The state of an intent at Stripe, or why it is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentState {
    /// Canceled, by us or found so.
    Canceled {
        /// Why, in Stripe's words.
        reason: Option<String>,
        /// When, on Stripe's clock.
        at: Option<DateTime<Utc>>,
        /// Whether it was this run that ended it.
        by_us: bool,
    },
    /// The money is there.
    Succeeded,
    /// The money is held for us.
    RequiresCapture,
    /// A bank is still processing it.
    Processing,
    /// It waits for the customer, in this status, and so may be ended.
    Open(String),
    /// No clear answer, and why: a rate limit, an error of Stripe's, silence.
    Unclear(String),
    /// Stripe does not know it.
    Missing(String),
    /// A refusal that no retry changes.
    Refused(String),
    /// Our key is refused, or a 404 is not believed: no fault of the intent.
    Denied(String),
}

impl IntentReport {
    /// A 404 is believed only while most others are not 404s: a key of the
    /// wrong account gives it for every intent.
    pub fn distrust_missing(&mut self) {
        if let IntentState::Missing(why) = &self.state {
            self.state = IntentState::Denied(why.clone());
        }
    }
}

impl IntentState {
    /// Reads an answer; `by_us` says whether we ended an intent that is canceled.
    fn read(answer: Result<Intent, Failure>, by_us: bool) -> Self {
        match answer {
            Ok(intent) => Self::of(intent, by_us),
            Err(Failure::Missing(message)) => Self::Missing(message),
            Err(failure @ Failure::Refused { .. }) => Self::Refused(failure.to_string()),
            Err(failure @ Failure::Denied { .. }) => Self::Denied(failure.to_string()),
            Err(failure) => Self::Unclear(failure.to_string()),
        }
    }

    fn of(intent: Intent, by_us: bool) -> Self {
        match intent.status.as_str() {
            "canceled" => Self::Canceled {
                reason: intent.cancellation_reason,
                at: intent.canceled_at,
                by_us,
            },
            "succeeded" => Self::Succeeded,
            "requires_capture" => Self::RequiresCapture,
            "processing" => Self::Processing,
            "requires_payment_method" | "requires_confirmation" | "requires_action" => {
                Self::Open(intent.status)
            }
            unknown => Self::Refused(format!("Stripe says {unknown:?}, a status we do not know")),
        }
    }

    /// Whether the intent waits for the customer, and so may be ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Whether no customer can pay through the intent any more.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        matches!(self, Self::Canceled { .. })
    }

    /// Whether Stripe answered about this very intent: a status, a 404 or a
    /// refusal, and not that it has no time or refuses our key.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Unclear(_) | Self::Denied(_))
    }

    /// What our tables note as the last error, if anything went wrong.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Unclear(why) | Self::Missing(why) | Self::Refused(why) | Self::Denied(why) => {
                Some(why)
            }
            _ => None,
        }
    }

    /// The status our row gets: Stripe's, `missing`, or none when Stripe did
    /// not say.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        match self {
            Self::Canceled { .. } => Some("canceled"),
            Self::Succeeded => Some("succeeded"),
            Self::RequiresCapture => Some("requires_capture"),
            Self::Processing => Some("processing"),
            Self::Missing(_) => Some("missing"),
            Self::Open(status) => Some(status),
            Self::Unclear(_) | Self::Refused(_) | Self::Denied(_) => None,
        }
    }
}
