//! What a run hands to its job.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, Transaction};

use super::{Budget, Checkpoint, Fence, JobError, Options, context};
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
