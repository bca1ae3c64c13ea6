//! The end of a run: outcome, results, log line, totals and lease in one transaction,
//! durable before anybody hears of it.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use sqlx::PgPool;

use super::Lease;
use super::ledger;
use super::run::{Record, Status};
use super::{Call, delivery_failures, lease, totals};
use crate::database::{self, TxLimits, Unprepared};
use crate::engine::{Checkpoint, Completion, JobError, JobOutcome, context};

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
    ended: &JobOutcome,
    checkpoint: &Checkpoint,
) -> Result<Record, JobError> {
    let patient = ConstantBuilder::default()
        .with_delay(Duration::from_secs(1))
        .with_max_times(TRIES - 1);
    let settle = || async {
        let settled =
            tokio::time::timeout(TIMEOUT, settle_once(db, call, lease, ended, checkpoint)).await;
        settled.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    };
    settle
        .retry(patient)
        .await
        .map_err(context("settle the run"))
}

async fn settle_once(
    db: &PgPool,
    call: &Call,
    lease: &Lease,
    ended: &JobOutcome,
    checkpoint: &Checkpoint,
) -> sqlx::Result<Record> {
    let mut tx = database::begin(db, TxLimits::CONTROL).await?;
    let still_ours = lease::free(Unprepared(&mut tx), lease).await?;
    let (status, error) = verdict(ended, still_ours);
    let settled = ledger::finish(
        Unprepared(&mut tx),
        lease.run_id,
        status,
        &ended.results,
        error,
        checkpoint.latest().filter(|_| status == Status::Partial),
    )
    .await?;
    let record = ledger::by_id(Unprepared(&mut tx), lease.run_id)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    // An earlier try whose answer was lost had settled it already.
    if settled {
        ledger::log(Unprepared(&mut tx), call.job.log_type, &record).await?;
        totals::count(Unprepared(&mut tx), call.job).await?;
        if record.status == Status::Succeeded {
            delivery_failures::mend(Unprepared(&mut tx), call, lease.run_id).await?;
        }
    }
    tx.commit().await?;
    Ok(record)
}

fn verdict(ended: &JobOutcome, still_ours: bool) -> (Status, Option<String>) {
    match &ended.end {
        Err(JobError::Fenced) => (Status::Fenced, Some(JobError::Fenced.to_string())),
        _ if !still_ours => (Status::Fenced, Some(JobError::Fenced.to_string())),
        Err(stop) => (Status::Failed, Some(stop.to_string())),
        Ok(Completion::Done) => (Status::Succeeded, None),
        Ok(Completion::WorkLeft) => (Status::Partial, None),
    }
}
