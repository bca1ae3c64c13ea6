//! The end of a run: outcome, results, log line, totals and lease in one transaction,
//! durable before the caller gets an answer.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use sqlx::PgPool;

use super::{
    Call, Checkpoint, Completion, JobError, JobOutcome, Lease, Run, Status, context,
    delivery_failures, lease, ledger,
};
use crate::database::{self, TxLimits, Unprepared};

/// How long one try may take; a dead connection gives no answer at all.
const TIMEOUT: Duration = Duration::from_secs(6);
/// How often a settlement is tried while the database is away; a run that
/// cannot be settled is found abandoned by the next.
const TRIES: usize = 3;

/// Settles the run that holds, or held, `lease`.
pub(super) async fn settle(
    db: &PgPool,
    call: &Call,
    lease: &Lease,
    outcome: &JobOutcome,
    checkpoint: &Checkpoint,
) -> Result<Run, JobError> {
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
    db: &PgPool,
    call: &Call,
    lease: &Lease,
    outcome: &JobOutcome,
    checkpoint: &Checkpoint,
) -> sqlx::Result<Run> {
    let mut tx = database::begin(db, TxLimits::CONTROL).await?;
    let is_still_ours = lease::extend(Unprepared(&mut tx), lease, Duration::ZERO).await?;
    let (status, error) = final_status(outcome, is_still_ours);
    let settled = ledger::finish(
        Unprepared(&mut tx),
        lease.run_id,
        status,
        &outcome.results,
        error,
        checkpoint.latest().filter(|_| status == Status::Partial),
    )
    .await?;
    let run = Run::get(Unprepared(&mut tx), lease.run_id).await?;
    // An earlier try whose answer was lost had settled it already.
    if settled {
        ledger::record_end(Unprepared(&mut tx), call.job, &run).await?;
        if run.status == Status::Succeeded {
            delivery_failures::resolve_after_success(Unprepared(&mut tx), call, run.id).await?;
        }
    }
    tx.commit().await?;
    Ok(run)
}

fn final_status(outcome: &JobOutcome, is_still_ours: bool) -> (Status, Option<String>) {
    match &outcome.end {
        Err(JobError::Fenced) => (Status::Fenced, Some(JobError::Fenced.to_string())),
        _ if !is_still_ours => (Status::Fenced, Some(JobError::Fenced.to_string())),
        Err(error) => (Status::Failed, Some(error.to_string())),
        Ok(Completion::Done) => (Status::Succeeded, None),
        Ok(Completion::WorkLeft) => (Status::Partial, None),
    }
}
