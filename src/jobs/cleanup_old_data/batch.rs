//! One transaction of one policy: erase a range of keys, or count what lies
//! beyond it.
//!
//! Knows nothing of the run: which range, and what a failure means, is the
//! business of [`super::policy_run`].

use std::time::Duration;

use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};
use crate::retention::erasure_log;
use crate::retention::target::{self, BatchBounds, KeyRange, LockPolicy, Target};

/// How long a statement may run while it counts.
const COUNTING: Duration = Duration::from_millis(400);
/// How long to wait for a row that another transaction holds.
const ROW_LOCK: Duration = Duration::from_millis(100);

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
    let Unprepared(db) = batch.db()?;
    let lock_timeout = match range.locks {
        LockPolicy::Wait => ROW_LOCK,
        // Locked rows are skipped, so this is the wait for a whole table.
        LockPolicy::SkipLocked => ctx.fence.lock_timeout(),
    };
    range.any_held = target::begin_batch(Unprepared(db), lock_timeout, None, range.now)
        .await
        .map_err(context("begin to erase"))?;
    let bounds = target
        .bounds(Unprepared(db), &range)
        .await
        .map_err(context("find expired rows"))?;
    *found = Some(bounds.clone());
    let mut erased = Some(0);
    if let Some(upto) = bounds.upto()
        && bounds.free() > 0
    {
        range.upto = upto;
        erased = target
            .erase(Unprepared(db), &range)
            .await
            .map_err(context("erase expired rows"))?
            .map(|rows| rows.try_into().unwrap_or(i64::MAX));
    }
    if let Some(rows @ 1..) = erased {
        let run_id = ctx.fence.run_id();
        erasure_log::log(Unprepared(db), run_id, target.facts(), &range, rows)
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
    mut range: KeyRange,
) -> Result<Option<BatchBounds>, JobError> {
    range.size = i64::MAX;
    let mut batch = ctx.fence.batch().await?;
    let Unprepared(db) = batch.db()?;
    let counted = async {
        range.any_held =
            target::begin_batch(Unprepared(db), ROW_LOCK, Some(COUNTING), range.now).await?;
        target.bounds(Unprepared(db), &range).await
    };
    let counted = counted.await.map_err(context("count remaining rows"));
    batch.undo().await?;
    match counted {
        Err(error @ JobError::Unreachable(_)) if !error.took_too_long() => Err(error),
        counted => Ok(counted.ok()),
    }
}
