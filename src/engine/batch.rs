//! The retry ladder of batches, the same for every job.
//!
//! A batch is one transaction. While another transaction holds one of its
//! rows it is tried again; when the database refuses a row each item is done
//! on its own, so that one bad item spoils no other. A batch that takes too
//! long is done in halves, and an item that takes too long alone is refused;
//! the batches after it in that run are smaller too.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Completion, JobContext, JobError};
use crate::database::Fault;

/// How often a batch is tried while another transaction holds one of its rows.
const TRIES: u32 = 3;

/// What a job does with a batch of its items.
pub trait BatchWork: Send {
    /// One unit that can be done on its own.
    type Item: Sync;
    /// The job's results.
    type Results: Send;

    /// One transaction for all of `items`; `results` count it once it is kept.
    ///
    /// # Errors
    /// Nothing of the batch was kept then.
    fn commit(
        &self,
        ctx: &JobContext,
        items: &[Self::Item],
        results: &mut Self::Results,
    ) -> impl Future<Output = Result<(), JobError>> + Send;

    /// What becomes of an item that the database refuses on its own too.
    ///
    /// # Errors
    /// Whatever must stop the run.
    fn refused(
        &self,
        ctx: &JobContext,
        item: &Self::Item,
        error: JobError,
        results: &mut Self::Results,
    ) -> impl Future<Output = Result<(), JobError>> + Send;

    /// These items, the next in their order, are done or refused. Work whose
    /// rows look the same afterwards moves its checkpoint here.
    fn passed(&mut self, _ctx: &JobContext, _items: &[Self::Item]) {}
}

/// How many items or rows one statement of a run may have to do with: half of
/// those that took too long, and an eighth more after each that did not.
#[derive(Debug)]
pub struct PartSize(AtomicUsize);

impl Default for PartSize {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl PartSize {
    /// How many of `size` rows to read.
    pub fn of(&self, size: i64) -> i64 {
        size.min(self.get().try_into().unwrap_or(i64::MAX))
    }

    /// What was read when `size` rows were asked for; `None` where so many took
    /// too long, and fewer may not.
    ///
    /// # Errors
    /// When one row takes too long too, or the database refuses.
    pub fn judge<T>(&self, size: i64, read: Result<T, JobError>) -> Result<Option<T>, JobError> {
        let count = usize::try_from(size).unwrap_or(usize::MAX);
        match read {
            Err(error) if error.took_too_long() && size > 1 => {
                self.shrink(count);
                Ok(None)
            }
            Ok(rows) => {
                self.grow(count);
                Ok(Some(rows))
            }
            Err(error) => Err(error),
        }
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// So many took too long.
    fn shrink(&self, size: usize) {
        self.0.store((size / 2).max(1), Ordering::Relaxed);
    }

    /// So many did not take too long.
    fn grow(&self, size: usize) {
        let more = size.saturating_add(size / 8 + 1);
        self.0.fetch_max(more, Ordering::Relaxed);
    }
}

/// Commits `items`, all at once or in ever smaller parts. Items that there is
/// no time for are left: [`Completion::WorkLeft`].
///
/// # Errors
/// When the lease is lost, or the database cannot be reached.
pub async fn commit_in_parts<W: BatchWork>(
    ctx: &JobContext,
    work: &mut W,
    items: &[W::Item],
    results: &mut W::Results,
) -> Result<Completion, JobError> {
    let mut waiting: Vec<_> = items.rchunks(ctx.part_size.get()).collect();
    let mut is_first = true;
    while let Some(part) = waiting.pop().filter(|part| !part.is_empty()) {
        if !is_first && ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        let tries = if is_first { TRIES } else { 1 };
        let was_first = std::mem::take(&mut is_first);
        match commit_with_retries(ctx, work, part, tries, results).await {
            Err(error) if part.len() > 1 && error.took_too_long() => {
                ctx.part_size.shrink(part.len());
                waiting.extend(part.rchunks(part.len().div_ceil(2)));
                continue;
            }
            Err(error) if (was_first || part.len() > 1) && error.is_about_rows() => {
                waiting.extend(part.chunks(1).rev());
                continue;
            }
            Err(error) if error.may_pass_without_it() => {
                work.refused(ctx, &part[0], error, results).await?;
            }
            done => {
                done?;
                ctx.part_size.grow(part.len());
            }
        }
        work.passed(ctx, part);
    }
    Ok(Completion::Done)
}

/// Tries again while another transaction holds a row.
async fn commit_with_retries<W: BatchWork>(
    ctx: &JobContext,
    work: &W,
    items: &[W::Item],
    tries: u32,
    results: &mut W::Results,
) -> Result<(), JobError> {
    let mut left = tries;
    loop {
        match work.commit(ctx, items, results).await {
            Err(error)
                if error.fault() == Fault::Contended && left > 1 && !ctx.budget.is_spent() =>
            {
                left -= 1;
            }
            done => return done,
        }
    }
}
