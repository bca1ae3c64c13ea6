//! The retry ladder of batches, the same for every job.
//!
//! A batch is one transaction. While another transaction holds one of its
//! rows it is tried again; when the database refuses a row each item is done
//! on its own, so that one bad item spoils no other. A batch that takes too
//! long stops the run, as an unreachable database does, unless the work says
//! that it can be halved ([`BatchWork::HALVES`]).

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
    /// Whether a batch that takes too long is done in halves, and an item that
    /// takes too long alone is refused. Such work moves its checkpoint in
    /// [`BatchWork::passed`], or a continuation would begin with the same batch.
    const HALVES: bool = false;

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

    /// These items, the next in their order, are done or refused.
    fn passed(&mut self, _ctx: &JobContext, _items: &[Self::Item]) {}
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
    let mut waiting = vec![items];
    let mut is_first = true;
    while let Some(part) = waiting.pop().filter(|part| !part.is_empty()) {
        if !is_first && ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        let tries = if is_first { TRIES } else { 1 };
        let was_first = std::mem::take(&mut is_first);
        match commit_with_retries(ctx, work, part, tries, results).await {
            Err(error) if W::HALVES && part.len() > 1 && error.took_too_long() => {
                let (first, second) = part.split_at(part.len() / 2);
                waiting.extend([second, first]);
                continue;
            }
            Err(error) if (was_first || part.len() > 1) && error.is_about_rows() => {
                waiting.extend(part.chunks(1).rev());
                continue;
            }
            Err(error) if error.is_about_rows() || (W::HALVES && error.took_too_long()) => {
                work.refused(ctx, &part[0], error, results).await?;
            }
            done => done?,
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
