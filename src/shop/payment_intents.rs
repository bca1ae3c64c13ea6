//! Payment intents: fetching them from Stripe, ending them, writing the result.
//!
//! Owns what every job that settles intents needs, and the one rule for what
//! may be trusted: a local status counts where our own sync wrote it
//! (`intent_is_settled` in the database), anything else is asked about
//! ([`fetch()`]); what the answers mean is a pure function ([`verdict`]); an
//! intent is ended after a last look at our own rows ([`end`]); [`sync`] writes
//! what Stripe said. Promises that only an answer of Stripe changes a status,
//! that an error on the way never does, and that a [`Breaker`] stops a run
//! whose every call fails. Which intents are fetched, and what becomes of
//! their orders, is each job's business.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::foreign_text::ForeignText;
use crate::stripe::{Failure, Intent, Session};

/// How many are fetched at the same time; the rate limit is Stripe's own.
pub const AT_ONCE: usize = 8;

pub mod breaker;
mod fetch;
pub mod health;
mod proof;
mod sync;
pub mod verdict;

pub use breaker::{Breaker, Health};
pub use fetch::{End, end, fetch, look};
pub use sync::{Synced, sync};

/// An intent as our table had it when it was read. A Checkout session that has
/// no intent yet is one too.
#[derive(Debug, Clone)]
pub struct LocalIntent {
    /// The id of our row.
    pub id: Uuid,
    /// Stripe's id, `pi_…`, where it is known.
    pub stripe_id: Option<String>,
    /// The Checkout session that owns it, if any.
    pub checkout_session_id: Option<String>,
    /// How often a cancel was tried before.
    pub cancel_attempts: i32,
    /// Its status.
    pub status: String,
    /// When the row was last changed.
    pub updated_at: DateTime<Utc>,
    /// Whether our own sync wrote this open status a short while ago.
    pub is_known_open: bool,
}

/// What Stripe answered about one intent.
#[derive(Debug, Clone)]
pub struct IntentReport {
    /// The intent.
    pub intent: LocalIntent,
    /// Its state at Stripe.
    pub state: IntentState,
    /// Whether Stripe was asked, and so there is something to write.
    pub was_asked: bool,
    /// Whether a cancel was tried, so that the next gets a new key.
    pub tried: bool,
}

/// The state of an intent at Stripe, or why it is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentState {
    /// Canceled, by us or found so.
    Canceled {
        /// Why, in Stripe's words.
        reason: Option<ForeignText>,
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
    /// The same, but a part of the money has come in.
    PartlyPaid(String),
    /// No clear answer, and why: a rate limit, an error of Stripe's, silence.
    Unclear(ForeignText),
    /// Stripe does not know it.
    Missing(ForeignText),
    /// A refusal that no retry changes.
    Refused(ForeignText),
    /// Our key is refused, or a 404 is not believed: no fault of the intent.
    Denied(ForeignText),
}

/// What Stripe says of an intent, or of a session that has none.
#[derive(Debug, Clone)]
enum Truth {
    Intent(Intent),
    Session(Session),
}

impl LocalIntent {
    /// Stripe's id, or that of the session that has no intent yet.
    #[must_use]
    pub fn name(&self) -> &str {
        let session = self.checkout_session_id.as_deref();
        self.stripe_id.as_deref().or(session).unwrap_or_default()
    }

    /// Whether the row is still as it was `read`, and names the same at Stripe; the
    /// intent of its session may have become known since.
    #[must_use]
    pub fn is_as(&self, read: &Self) -> bool {
        let ids = self.stripe_id.as_ref().zip(read.stripe_id.as_ref());
        self.status == read.status
            && self.updated_at == read.updated_at
            && self.checkout_session_id == read.checkout_session_id
            && ids.is_none_or(|(now, then)| now == then)
    }
}

impl IntentReport {
    /// What a short while ago was open, according to Stripe, and is taken as such.
    #[must_use]
    pub fn known_open(intent: LocalIntent) -> Self {
        Self {
            state: IntentState::Open(intent.status.clone()),
            intent,
            was_asked: false,
            tried: false,
        }
    }

    /// When every answer was a denial, a 404 says nothing of the intent; when
    /// every answer was the same refusal, neither does that.
    pub fn distrust(&mut self, health: Health) {
        match (&self.state, health) {
            (IntentState::Missing(why), Health::Denied)
            | (IntentState::Refused(why), Health::RefusesAll) => {
                self.state = IntentState::Denied(why.clone());
            }
            _ => {}
        }
    }
}

impl IntentState {
    /// Reads an answer; `by_us` says whether we ended an intent that is canceled.
    fn read(answer: Result<Truth, Failure>, by_us: bool) -> Self {
        match answer {
            Ok(Truth::Intent(intent)) => Self::of(intent, by_us),
            Ok(Truth::Session(session)) => Self::of_session(&session, by_us),
            Err(Failure::Missing(message)) => Self::Missing(message),
            Err(failure @ Failure::Refused { .. }) => Self::Refused(failure.words()),
            Err(failure @ Failure::Denied { .. }) => Self::Denied(failure.words()),
            Err(failure) => Self::Unclear(failure.words()),
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
                if intent.has_money_in() {
                    Self::PartlyPaid(intent.status)
                } else {
                    Self::Open(intent.status)
                }
            }
            unknown => Self::Refused(ForeignText::new(&format!(
                "Stripe says {:?}, a status we do not know",
                ForeignText::new(unknown).as_str()
            ))),
        }
    }

    /// A session without an intent: no customer has begun to pay through it.
    fn of_session(session: &Session, by_us: bool) -> Self {
        let status = session.status.as_deref().unwrap_or_default();
        match (status, session.payment_status.as_deref()) {
            ("open", _) => Self::Open("requires_payment_method".to_owned()),
            ("expired", _) => Self::Canceled {
                reason: None,
                at: None,
                by_us,
            },
            ("complete", Some("paid" | "no_payment_required")) => Self::Succeeded,
            ("complete", _) => Self::Processing,
            _ => Self::Refused(ForeignText::new(&format!(
                "Stripe says {:?}, a status of a session that we do not know",
                ForeignText::new(status).as_str()
            ))),
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
    pub fn error(&self) -> Option<&ForeignText> {
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
            Self::Open(status) | Self::PartlyPaid(status) => Some(status),
            Self::Unclear(_) | Self::Refused(_) | Self::Denied(_) => None,
        }
    }
}
