//! What a run leaves: rows that it passed, and rows that it did not come to.
//!
//! The first are known from the walk. The second lie beyond it, and counting
//! them reads no row that was erased; what takes too long is not counted.

use std::time::Duration;

use super::Results;
use super::policy_run::PolicyRun;
use crate::engine::{Batch, JobContext, JobError, context};
use crate::retention::erasure_log::{self, Patience};
use crate::retention::rules::Reach;

/// Counting comes after the work and must not make the answer late.
const COUNTING: Patience = Patience {
    for_locks: Duration::from_millis(100),
    for_statements: Duration::from_millis(400),
};

impl PolicyRun {
    /// Counts what is left of the table past the cutoff, and under a hold.
    /// What was passed is known; only what lies beyond is counted.
    pub(super) async fn count(
        &self,
        ctx: &JobContext,
        results: &mut Results,
    ) -> Result<(), JobError> {
        let beyond = if self.is_at_the_end() {
            Some((0, 0))
        } else if ctx.budget.is_past_grace() {
            None
        } else {
            self.beyond(ctx).await?
        };
        let outcome = &mut results.policies[self.place];
        outcome.remaining = beyond.map(|(remaining, _)| self.skipped + remaining);
        outcome.held = beyond.map(|(_, held)| self.held + held);
        Ok(())
    }

    /// Rows past the cutoff that the walk has not come to: free and held.
    async fn beyond(&self, ctx: &JobContext) -> Result<Option<(i64, i64)>, JobError> {
        let mut batch = ctx.fence.batch().await?;
        let counted = self.look_beyond(&mut batch).await;
        batch.undo().await?;
        match counted {
            Ok(reach) => Ok(Some((reach.free(), reach.held))),
            Err(stop) if stop.took_too_long() => Ok(None),
            Err(stop @ (JobError::Fenced | JobError::Unreachable(_))) => Err(stop),
            Err(JobError::Failed(_)) => Ok(None),
        }
    }

    async fn look_beyond(&self, batch: &mut Batch<'_>) -> Result<Reach, JobError> {
        let counting = || context("count what is left");
        let mut span = self.span.clone();
        span.size = i64::MAX;
        span.samples = 0;
        span.any_held = erasure_log::open(batch.db()?, COUNTING, span.now)
            .await
            .map_err(counting())?;
        (self.rule.reach)(batch.db()?, &span)
            .await
            .map_err(counting())
    }
}
