//! The end of a run: outcome, results, log line, totals and lease in one transaction,
//! durable before the caller gets an answer.
//!
//! Promises that a run is settled once, by what is in the database: where a
//! crash has undone some of its batches, it has failed, and only what the others
//! noted counts.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};

use super::{
    Call, Checkpoint, Completion, JobError, JobOutcome, Lease, Run, Status, context,
    delivery_failures, lease, ledger,
};
use crate::database::{self, Pool, TxLimits, Unprepared};
use crate::foreign_text::ForeignText;

/// How long one try may take; a dead connection gives no answer at all.
const TIMEOUT: Duration = Duration::from_secs(6);
/// How often a settlement is tried while the database is away; a run that
/// cannot be settled is found abandoned by the next.
const TRIES: usize = 3;

/// A run as it was settled.
pub(super) struct Settled {
    /// Its row; of a run that was found abandoned before, with what its caller
    /// has to know: that it is fenced.
    pub(super) run: Run,
    /// Whether it failed because the database or Stripe was away, so that a
    /// later try may pass.
    pub(super) unreachable: bool,
}

/// Settles the run that holds, or held, `lease`.
pub(super) async fn settle(
    db: &Pool,
    call: &Call,
    lease: &Lease,
    outcome: &JobOutcome,
    checkpoint: &Checkpoint,
) -> Result<Settled, JobError> {
    let retries = ConstantBuilder::default()
        .with_delay(Duration::from_secs(1))
        .with_max_times(TRIES - 1);
    let settle = || async {
        let settled =
            tokio::time::timeout(TIMEOUT, settle_once(db, call, lease, outcome, checkpoint)).await;
        settled.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    };
    settle
        .retry(retries)
        .await
        .map_err(context("settle the run"))
}

async fn settle_once(
    db: &Pool,
    call: &Call,
    lease: &Lease,
    outcome: &JobOutcome,
    checkpoint: &Checkpoint,
) -> sqlx::Result<Settled> {
    let mut tx = database::begin(db, TxLimits::CONTROL).await?;
    let batches = lease::release(Unprepared(&mut tx), lease).await?;
    let end = End::of(outcome, batches, lease);
    let settled = ledger::finish(
        Unprepared(&mut tx),
        lease.run_id,
        end.status,
        Some(&outcome.results).filter(|_| !end.has_lost_batches),
        end.error,
        checkpoint
            .latest()
            .filter(|_| end.status == Status::Partial),
    )
    .await?;
    let mut run = Run::get(Unprepared(&mut tx), lease.run_id).await?;
    // An earlier try whose answer was lost had settled it already.
    if settled {
        ledger::record_end(Unprepared(&mut tx), call.job, &run).await?;
        if run.status == Status::Succeeded {
            delivery_failures::resolve_after_success(Unprepared(&mut tx), call, run.id).await?;
        }
    }
    tx.commit().await?;
    if run.status == Status::Abandoned {
        run.status = Status::Fenced;
    }
    let has_failed_itself =
        matches!(outcome.end, Err(JobError::Failed(_))) && !end.has_lost_batches;
    let unreachable = run.status == Status::Failed && !has_failed_itself;
    Ok(Settled { run, unreachable })
}

/// How a run ended.
struct End {
    status: Status,
    error: Option<ForeignText>,
    has_lost_batches: bool,
}

impl End {
    /// By the job's `outcome`, and by how many `batches` of the run are there;
    /// `None` where another run holds the lease.
    fn of(outcome: &JobOutcome, batches: Option<i64>, lease: &Lease) -> Self {
        let has_lost_batches = batches.is_some_and(|batches| lease.has_lost_some(batches));
        let (status, error) = match &outcome.end {
            _ if batches.is_none() => (Status::Fenced, Some(&JobError::Fenced)),
            _ if has_lost_batches => (Status::Failed, Some(&JobError::Lost)),
            Err(JobError::Fenced) => (Status::Fenced, Some(&JobError::Fenced)),
            Err(error) => (Status::Failed, Some(error)),
            Ok(Completion::Done) => (Status::Succeeded, None),
            Ok(Completion::WorkLeft) => (Status::Partial, None),
        };
        Self {
            status,
            error: error.map(JobError::words),
            has_lost_batches,
        }
    }
}
