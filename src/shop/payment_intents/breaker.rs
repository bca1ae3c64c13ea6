//! The breaker: stops a run when its failures are no accident.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::engine::JobError;
use crate::stripe::Failure;

/// So many failures in a row that nothing else will go better.
const IN_A_ROW: u32 = 5;

/// Counts failures in a row, and stops the run when they are no accident.
#[derive(Debug, Default)]
pub struct Breaker {
    denied: AtomicU32,
    unreachable: AtomicU32,
    /// Whether one answer proves the key.
    can_be_proven: bool,
    is_proven: AtomicBool,
    doubt_was_taken: AtomicBool,
}

impl Breaker {
    /// One that believes a 404 once Stripe has answered for any intent: then
    /// the key is of the right account.
    #[must_use]
    pub fn that_can_be_proven() -> Self {
        Self {
            can_be_proven: true,
            ..Self::default()
        }
    }

    /// Whether the caller should prove the key now; true once.
    pub fn takes_doubt(&self) -> bool {
        self.can_be_proven && !self.doubt_was_taken.swap(true, Ordering::Relaxed)
    }

    /// # Errors
    /// After five answers of 401, 403 or 404 in a row, or five calls in a
    /// row that got no answer at all.
    pub fn check(&self) -> Result<(), JobError> {
        if self.denied.load(Ordering::Relaxed) >= IN_A_ROW {
            return Err(JobError::Failed(anyhow::anyhow!(
                "Stripe answered 401, 403 or 404 {IN_A_ROW} times in a row: is STRIPE_SECRET_KEY \
                 of the right account and mode (test or live), and may it write PaymentIntents?"
            )));
        }
        if self.unreachable.load(Ordering::Relaxed) >= IN_A_ROW {
            return Err(JobError::Unreachable(anyhow::anyhow!(
                "Stripe gave no answer {IN_A_ROW} times in a row"
            )));
        }
        Ok(())
    }

    /// Counts one answer; once tripped, it stays so.
    pub(super) fn count<T>(&self, answer: &Result<T, Failure>) {
        if self.check().is_err() {
            return;
        }
        if answer.is_ok() && self.can_be_proven {
            self.is_proven.store(true, Ordering::Relaxed);
        }
        let (denied, unreachable) = match answer {
            Err(Failure::NoTime) => return,
            Err(Failure::Missing(_)) if self.is_proven.load(Ordering::Relaxed) => (false, false),
            Err(Failure::Denied { .. } | Failure::Missing(_)) => (true, false),
            Err(Failure::Unreachable(_)) => (false, true),
            _ => (false, false),
        };
        let step = |counter: &AtomicU32, failed| {
            if failed {
                counter.fetch_add(1, Ordering::Relaxed);
            } else {
                counter.store(0, Ordering::Relaxed);
            }
        };
        step(&self.denied, denied);
        step(&self.unreachable, unreachable);
    }
}
