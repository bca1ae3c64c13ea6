//! The breaker: what a run's calls say about Stripe and our key, and when
//! there is no use in further ones.
//!
//! The verdict is pure ([`Tally::health`]); nothing here waits or asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::engine::JobError;
use crate::foreign_text::ForeignText;
use crate::stripe::Failure;

/// So many failures in a row that nothing else will go better.
const IN_A_ROW: u32 = 5;

/// What kind of call it was: a key may be good for one and not for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// It only asked.
    Read,
    /// It was to end something.
    Write,
}

/// What all calls of a run say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// What failed is a matter of single intents.
    Well,
    /// Every answer was a denial, or a 404 under a key that nothing proves.
    Denied,
    /// The key may read, and every write was denied.
    WritesDenied,
    /// Every answer was the same refusal.
    RefusesAll,
    /// No call got an answer.
    Unreachable,
}

/// The answers of a run, counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    good: [u32; 2],
    denied: [u32; 2],
    denied_in_a_row: [u32; 2],
    missing: u32,
    refused: u32,
    refusal: Option<(u16, Option<ForeignText>)>,
    is_refused_differently: bool,
    unclear: u32,
    silent: u32,
    silent_in_a_row: u32,
    why: ForeignText,
}

impl Tally {
    /// Counts one answer.
    pub fn count<T>(&mut self, call: Call, answer: &Result<T, Failure>) {
        let (kind, before) = (call as usize, self.health());
        let is_denial = match answer {
            Err(Failure::NoTime | Failure::Withdrawn) => return,
            Ok(_) => {
                self.good[kind] += 1;
                false
            }
            // Under a good key a 404 is a matter of its intent, whichever mode that is of.
            Err(Failure::Missing(_)) => {
                self.missing += 1;
                !self.is_proven()
            }
            Err(Failure::Denied { status: 404, .. }) if self.is_proven() => {
                self.missing += 1;
                false
            }
            Err(Failure::Denied { .. }) => {
                self.denied[kind] += 1;
                true
            }
            Err(Failure::Refused { status, code, .. }) => {
                self.refused += 1;
                let refusal = (*status, code.clone());
                let first = self.refusal.get_or_insert_with(|| refusal.clone());
                self.is_refused_differently |= *first != refusal;
                false
            }
            Err(Failure::Unavailable { .. }) => {
                self.unclear += 1;
                false
            }
            Err(Failure::Unreachable(_)) => {
                self.silent += 1;
                false
            }
        };
        let is_silent = matches!(answer, Err(Failure::Unreachable(_)));
        let in_a_row = &mut self.denied_in_a_row[kind];
        *in_a_row = if is_denial { *in_a_row + 1 } else { 0 };
        self.silent_in_a_row = if is_silent {
            self.silent_in_a_row + 1
        } else {
            0
        };
        if let Err(failure) = answer
            && (self.why.is_empty() || self.health() != before)
        {
            self.why = failure.words();
        }
    }

    /// Whether an answer shows that the key is of the right account.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.good != [0, 0]
    }

    /// The verdict on the run so far.
    #[must_use]
    pub fn health(&self) -> Health {
        let [reads, writes] = self.denied_in_a_row;
        let [denied_reads, denied_writes] = self.denied;
        let denied = denied_reads + denied_writes;
        let calls = self.calls();
        if reads >= IN_A_ROW {
            Health::Denied
        } else if writes >= IN_A_ROW {
            if self.good[Call::Read as usize] > 0 {
                Health::WritesDenied
            } else {
                Health::Denied
            }
        } else if self.silent_in_a_row >= IN_A_ROW {
            Health::Unreachable
        } else if denied > 0 && !self.is_proven() && self.refused == 0 {
            Health::Denied
        } else if denied_writes > 0 && self.good[Call::Write as usize] == 0 {
            Health::WritesDenied
        } else if self.refused >= 2 && self.refused == calls && !self.is_refused_differently {
            Health::RefusesAll
        } else if self.silent > 0 && self.silent + self.unclear == calls {
            Health::Unreachable
        } else {
            Health::Well
        }
    }

    /// Whether further calls would only fail alike.
    fn is_hopeless(&self) -> bool {
        self.denied_in_a_row.iter().any(|count| *count >= IN_A_ROW)
            || self.silent_in_a_row >= IN_A_ROW
            || (self.refused >= IN_A_ROW && self.health() == Health::RefusesAll)
    }

    fn calls(&self) -> u32 {
        let [reads, writes] = [0, 1].map(|kind| self.good[kind] + self.denied[kind]);
        reads + writes + self.missing + self.refused + self.unclear + self.silent
    }
}

/// Counts the answers of one run; once tripped, it stays so.
#[derive(Debug, Default)]
pub struct Breaker {
    tally: Mutex<Tally>,
    /// Filled once an intent that Stripe most likely knows was asked about.
    pub(super) proof: OnceCell<()>,
}

impl Breaker {
    /// Counts one answer.
    pub(super) fn count<T>(&self, call: Call, answer: &Result<T, Failure>) {
        let mut tally = self.tally();
        if !tally.is_hopeless() {
            tally.count(call, answer);
        }
    }

    /// Whether a further call may do any good.
    #[must_use]
    pub fn lets_call(&self) -> bool {
        !self.tally().is_hopeless()
    }

    /// Whether an answer shows that the key is of the right account.
    pub(super) fn is_proven(&self) -> bool {
        self.tally().is_proven()
    }

    /// Whether Stripe was called at all.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.tally().calls() > 0
    }

    /// The verdict on the run so far.
    #[must_use]
    pub fn health(&self) -> Health {
        self.tally().health()
    }

    /// Whether a call of this kind went well.
    pub(super) fn went_well(&self, call: Call) -> bool {
        self.tally().good[call as usize] > 0
    }

    /// Stripe's words, when something failed.
    pub(super) fn why(&self) -> ForeignText {
        self.tally().why.clone()
    }

    /// # Errors
    /// When every call failed for the same reason, or so many in a row.
    pub fn check(&self) -> Result<(), JobError> {
        let why = self.why();
        let failed = match self.health() {
            Health::Well => return Ok(()),
            Health::Unreachable => {
                return Err(JobError::Unreachable(anyhow::anyhow!(
                    "Stripe gave no answer to any call: {why}"
                )));
            }
            Health::Denied => {
                "Stripe denied every call: is STRIPE_SECRET_KEY of the right account and mode \
                 (test or live)?"
            }
            Health::WritesDenied => {
                "Stripe denied every write: may STRIPE_SECRET_KEY write PaymentIntents and \
                 Checkout Sessions?"
            }
            Health::RefusesAll => "Stripe refused every call alike",
        };
        Err(JobError::Failed(anyhow::anyhow!("{failed} {why}")))
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
