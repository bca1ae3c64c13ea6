//! Where a run stopped, for the run that continues it.
//!
//! A job that finds its work by the state of its rows needs none: what is
//! done is not found again. One that walks past rows which look the same
//! afterwards saves its checkpoint here, and a continuation begins there. Only hands it
//! over; the ledger keeps it.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Where the run before stopped, and where this one does.
#[derive(Debug, Default)]
pub struct Checkpoint {
    from: Option<Value>,
    to: Mutex<Option<Value>>,
}

impl Checkpoint {
    /// A run that begins where `from` says, or at the beginning.
    #[must_use]
    pub fn new(from: Option<Value>) -> Self {
        Self {
            from,
            to: Mutex::default(),
        }
    }

    /// Where to begin; `None` is the beginning, also when another version of
    /// this service left something that cannot be read.
    #[must_use]
    pub fn resumed<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.from.clone()?).ok()
    }

    /// Notes how far the run has come; call it once that is committed.
    pub fn save(&self, checkpoint: &impl Serialize) {
        let checkpoint = serde_json::to_value(checkpoint).ok();
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = checkpoint;
    }

    /// Where a continuation begins: where this run left, or had begun.
    #[must_use]
    pub fn latest(&self) -> Option<Value> {
        let to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        to.clone().or_else(|| self.from.clone())
    }
}
