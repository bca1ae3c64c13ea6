//! What a run hands to its job: its time, its place in a chain, and the ways out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::PartSize;
use super::{Fence, JobError, Options, context};
use crate::database::{self, Pool, Transaction, TxLimits};
use crate::resend::Resend;
use crate::signed_links::SignedLinks;
use crate::stripe::Stripe;

/// How long an answer from outside is still waited for once nothing new may
/// begin: long enough for most, short enough for a caller who waits a minute
/// and a platform that stops us within ten seconds.
const GRACE: Duration = Duration::from_secs(4);

/// Everything a job may use. There is nothing else.
#[derive(Debug)]
pub struct JobContext {
    /// For reading; whatever is written goes through [`JobContext::fence`].
    pub db: Pool,
    /// The moment this run judges by: the database's clock at its begin, or
    /// the moment it replays. Bound into every statement.
    pub now: DateTime<Utc>,
    /// What the caller asked for.
    pub options: Options,
    /// How long new work may begin.
    pub budget: Budget,
    /// Where the run that this one continues stopped, and where this one does.
    pub checkpoint: Arc<Checkpoint>,
    /// How many items its statements may have to do with.
    pub part_size: PartSize,
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

    /// Calls the outside about `items`, `at_once` at the same time. Items that
    /// there was no time for, because the budget was spent or `call` answered
    /// none, are left out.
    pub async fn together<T, A, F>(
        &self,
        at_once: usize,
        items: Vec<T>,
        call: impl Fn(T) -> F,
    ) -> Vec<A>
    where
        F: Future<Output = Option<A>>,
    {
        let mut all = Vec::with_capacity(items.len());
        let mut answers = futures::stream::iter(items)
            .map(call)
            .buffer_unordered(at_once);
        let collect = async {
            while let Some(answer) = answers.next().await {
                all.extend(answer);
            }
        };
        tokio::select! {
            () = collect => {}
            () = self.budget.grace_ends() => {}
        }
        all
    }

    /// A transaction for reading; dropped, it is rolled back.
    pub async fn reading(&self) -> Result<Transaction, JobError> {
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

/// How long a run may begin new work, and whether the process is to stop.
///
/// Measured on the monotonic clock, so that a clock that jumps neither ends a
/// run nor lets it run for ever. Spent early when the process is asked to stop.
#[derive(Debug, Clone)]
pub struct Budget {
    until: Instant,
    stop: CancellationToken,
}

impl Budget {
    /// A budget of `length` from now, ended early by `stop`.
    #[must_use]
    pub fn new(length: Duration, stop: CancellationToken) -> Self {
        Self {
            until: Instant::now() + length,
            stop,
        }
    }

    /// Whether nothing new may begin: no batch and no call to Stripe.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.until
    }

    /// Whether also what had begun must end now: [`GRACE`] after the budget was
    /// spent, or at once when the process is asked to stop.
    #[must_use]
    pub fn is_past_grace(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.until + GRACE
    }

    /// Waits for the moment at which an answer from outside is no longer
    /// waited for: a little after the budget was spent, or after the process
    /// was asked to stop.
    pub async fn grace_ends(&self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.until) => {}
            () = self.stop.cancelled() => {}
        }
        tokio::time::sleep(GRACE).await;
    }

    /// Waits until the process is asked to stop, and was as patient as that
    /// with what had begun.
    pub async fn stop_ends(&self, patience: Duration) {
        self.stop.cancelled().await;
        tokio::time::sleep(patience).await;
    }
}
