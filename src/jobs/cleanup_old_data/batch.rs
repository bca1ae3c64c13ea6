//! One transaction of one policy: erase a range of keys, or count what lies
//! beyond it.
//!
//! Knows nothing of the run: which range, and what a failure means, is the
//! business of [`super::policy_run`].

use std::time::Duration;

use chrono::TimeDelta;

use crate::database::{self, Unprepared};
use crate::engine::{Batch, JobContext, JobError, context};
use crate::retention::erasure_log;
use crate::retention::target::{self, BatchBounds, Erased, KeyRange, LockPolicy, Target};

/// What is being done when a row is refused.
pub(super) const ERASE: &str = "erase expired rows";
/// How long a statement may run while it counts.
const COUNTING: Duration = Duration::from_millis(400);
/// What is dated so far ahead of the clock has not come; the database's function
/// `is_ahead` says the same.
pub(super) const AHEAD: TimeDelta = TimeDelta::days(1);
/// How long to wait for a row that another transaction holds.
const ROW_LOCK: Duration = Duration::from_millis(100);

/// What one batch came to.
pub(super) struct Step {
    pub(super) bounds: BatchBounds,
    /// `None` when the same range must be erased once more.
    pub(super) erased: Option<Erased>,
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
    let mut erased = Some(Erased::default());
    if let Some(upto) = bounds.upto()
        && bounds.free() > 0
    {
        range.upto = upto;
        range.keys = bounds.keys(&range.after);
        erased = target
            .erase(Unprepared(db), &range)
            .await
            .map_err(context(ERASE))?;
    }
    if let Some(erased) = erased.as_ref().filter(|erased| erased.rows > 0) {
        let run_id = ctx.fence.run_id();
        erasure_log::log(Unprepared(db), run_id, target.facts(), &range, erased.rows)
            .await
            .map_err(context("log the erasure"))?;
    }
    Ok(Step { bounds, erased })
}

/// Counts the rows after `range.after`.
pub(super) async fn count(
    ctx: &JobContext,
    target: &dyn Target,
    mut range: KeyRange,
) -> Result<Option<BatchBounds>, JobError> {
    range.size = i64::MAX;
    range.each = false;
    counting(ctx, async |Unprepared(db)| {
        range.any_held =
            target::begin_batch(Unprepared(db), ROW_LOCK, Some(COUNTING), range.now).await?;
        target.bounds(Unprepared(db), &range).await
    })
    .await
}

/// Counts the rows that a moment in the future keeps.
pub(super) async fn count_ahead(
    ctx: &JobContext,
    target: &dyn Target,
) -> Result<Option<i64>, JobError> {
    counting(ctx, async |Unprepared(db)| {
        target::begin_batch(Unprepared(db), ROW_LOCK, Some(COUNTING), ctx.now).await?;
        // Of a run as of another moment too: what came since has come.
        let now = database::now(Unprepared(db)).await?;
        target.count_ahead(Unprepared(db), now + AHEAD).await
    })
    .await
}

/// `None` when it takes too long, for it comes after the work and must not
/// make the answer late.
async fn counting<T>(
    ctx: &JobContext,
    count: impl AsyncFnOnce(Unprepared<'_>) -> sqlx::Result<T>,
) -> Result<Option<T>, JobError> {
    let mut batch = ctx.fence.batch().await?;
    let counted = count(batch.db()?).await;
    let counted = counted.map_err(context("count remaining rows"));
    batch.undo().await?;
    match counted {
        Err(error @ JobError::Unreachable(_)) if !error.took_too_long() => Err(error),
        counted => Ok(counted.ok()),
    }
}
