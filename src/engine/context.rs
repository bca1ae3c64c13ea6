//! What a run hands to its job, and where it stopped for the run that
//! continues it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};

use super::{Budget, Fence, JobError, Options, context};
use crate::database::{self, TxLimits};
use crate::resend::Resend;
use crate::signed_links::SignedLinks;
use crate::stripe::Stripe;

/// Everything a job may use. There is nothing else.
#[derive(Debug)]
pub struct JobContext {
    /// For reading; whatever is written goes through [`JobContext::fence`].
    pub db: PgPool,
    /// The moment this run judges by: the database's clock at its begin, or
    /// the moment it replays. Bound into every statement.
    pub now: DateTime<Utc>,
    /// What the caller asked for.
    pub options: Options,
    /// How long new work may begin.
    pub budget: Budget,
    /// Where the run that this one continues stopped, and where this one does.
    pub checkpoint: Arc<Checkpoint>,
    /// The lease, and the only way to commit.
    pub fence: Fence,
    /// Stripe, with this process's rate limit.
    pub stripe: Stripe,
    /// Resend, with this process's rate limit.
    pub resend: Resend,
    /// What signs links for people without a secret, where there is a key.
    pub links: Option<SignedLinks>,
}

impl JobContext {
    /// The most rows this run may look at: what the runs before it in its
    /// chain have left of the limit.
    pub fn rows_left(&self) -> u64 {
        let before: Option<RowsLeft> = self.checkpoint.resumed();
        before.map_or(self.options.row_limit(), |before| before.rows_left)
    }

    /// Notes that so many were looked at, for a continuation under the same
    /// limit; without a limit there is nothing to note.
    pub fn looked_at(&self, rows: u64) {
        if self.options.limit.is_some() {
            let rows_left = self.rows_left().saturating_sub(rows);
            self.checkpoint.save(&RowsLeft { rows_left });
        }
    }

    /// A transaction for reading; dropped, it is rolled back.
    pub async fn reading(&self) -> Result<Transaction<'static, Postgres>, JobError> {
        database::begin(&self.db, TxLimits::READ)
            .await
            .map_err(context("begin to read"))
    }
}

/// The place of a job that finds its work by the state of its rows.
#[derive(Debug, Serialize, Deserialize)]
struct RowsLeft {
    rows_left: u64,
}

/// Where the run before stopped, and where this one does; the ledger keeps it.
///
/// A job that finds its work by the state of its rows needs none: what is done
/// is not found again. One that walks past rows which look the same afterwards
/// saves its checkpoint here, and a continuation begins there.
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
