//! One transaction of one policy: erase a range of keys, or count what lies
//! beyond it.
//!
//! Knows nothing of the run: which range, and what a failure means, is the
//! business of [`super::policy_run`].

use crate::engine::{Batch, JobContext, JobError, context};
use crate::retention::erasure_log;
use crate::retention::target::{BatchBounds, KeyRange, LockPolicy, Target};

/// What one batch came to.
pub(super) struct Step {
    pub(super) bounds: BatchBounds,
    /// `None` when the same range must be erased once more.
    pub(super) erased: Option<i64>,
}

/// Erases the first rows of `range`. `found` holds the bounds of the batch
/// once they are known, also when it fails.
pub(super) async fn erase(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    target: &dyn Target,
    mut range: KeyRange,
    found: &mut Option<BatchBounds>,
) -> Result<Step, JobError> {
    // With `SkipLocked`, a wait is for a lock on a whole table.
    let lock_timeout = match range.locks {
        LockPolicy::Wait => "100ms",
        LockPolicy::SkipLocked => "3s",
    };
    range.any_held = erasure_log::open(batch.db()?, lock_timeout, "20s", range.now)
        .await
        .map_err(context("begin to erase"))?;
    let bounds = target
        .bounds(batch.db()?, &range)
        .await
        .map_err(context("find expired rows"))?;
    *found = Some(bounds.clone());
    let mut erased = Some(0);
    if let Some(upto) = bounds.upto()
        && bounds.free() > 0
    {
        range.upto = upto;
        erased = target
            .erase(batch.db()?, &range)
            .await
            .map_err(context("erase expired rows"))?
            .map(|rows| rows.try_into().unwrap_or(i64::MAX));
    }
    if let Some(affected @ 1..) = erased {
        erasure_log::log(batch.db()?, ctx.fence.run_id(), target, &range, affected)
            .await
            .map_err(context("log the erasure"))?;
    }
    Ok(Step { bounds, erased })
}

/// Counts the rows after `range.after`; `None` when it takes too long, for it
/// comes after the work and must not make the answer late.
pub(super) async fn count(
    ctx: &JobContext,
    target: &dyn Target,
    range: KeyRange,
) -> Result<Option<BatchBounds>, JobError> {
    let mut batch = ctx.fence.batch().await?;
    let counted = bounds_of_all(&mut batch, target, range).await;
    batch.undo().await?;
    match counted {
        Ok(bounds) => Ok(Some(bounds)),
        Err(error @ (JobError::Fenced | JobError::Unreachable(_))) if !error.took_too_long() => {
            Err(error)
        }
        Err(_) => Ok(None),
    }
}

async fn bounds_of_all(
    batch: &mut Batch<'_>,
    target: &dyn Target,
    mut range: KeyRange,
) -> Result<BatchBounds, JobError> {
    range.size = i64::MAX;
    range.samples = 0;
    range.any_held = erasure_log::open(batch.db()?, "100ms", "400ms", range.now)
        .await
        .map_err(context("count remaining rows"))?;
    target
        .bounds(batch.db()?, &range)
        .await
        .map_err(context("count remaining rows"))
}
