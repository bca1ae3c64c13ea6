//! The end of a run: outcome, results, log line, totals and lease in one transaction,
//! durable before anybody hears of it.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use sqlx::PgPool;

use super::ledger;
use super::record::{Record, Status};
use super::{Call, failures, lease, totals};
use crate::database::{self, TxLimits, Unnamed};
use crate::jobs::fence::Lease;
use crate::jobs::{Ended, Finish, Place, Stop, during};

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
    ended: &Ended,
    place: &Place,
) -> Result<Record, Stop> {
    let patient = ConstantBuilder::default()
        .with_delay(Duration::from_secs(1))
        .with_max_times(TRIES - 1);
    let settle = || async {
        let settled =
            tokio::time::timeout(TIMEOUT, settle_once(db, call, lease, ended, place)).await;
        settled.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    };
    settle
        .retry(patient)
        .await
        .map_err(during("settle the run"))
}

async fn settle_once(
    db: &PgPool,
    call: &Call,
    lease: &Lease,
    ended: &Ended,
    place: &Place,
) -> sqlx::Result<Record> {
    let mut tx = database::begin(db, TxLimits::CONTROL).await?;
    let still_ours = lease::free(Unnamed(&mut tx), lease).await?;
    let (status, error) = verdict(ended, still_ours);
    let settled = ledger::finish(
        Unnamed(&mut tx),
        lease.run_id,
        status,
        &ended.results,
        error,
        place.left().filter(|_| status == Status::Partial),
    )
    .await?;
    let record = ledger::by_id(Unnamed(&mut tx), lease.run_id)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    // An earlier try whose answer was lost had settled it already.
    if settled {
        ledger::log(Unnamed(&mut tx), call.job.log_type, &record).await?;
        totals::count(Unnamed(&mut tx), call.job).await?;
        if record.status == Status::Succeeded {
            failures::mend(Unnamed(&mut tx), call, lease.run_id).await?;
        }
    }
    tx.commit().await?;
    Ok(record)
}

fn verdict(ended: &Ended, still_ours: bool) -> (Status, Option<String>) {
    match &ended.end {
        Err(Stop::Fenced) => (Status::Fenced, Some(Stop::Fenced.to_string())),
        _ if !still_ours => (Status::Fenced, Some(Stop::Fenced.to_string())),
        Err(stop) => (Status::Failed, Some(stop.to_string())),
        Ok(Finish::Done) => (Status::Succeeded, None),
        Ok(Finish::WorkLeft) => (Status::Partial, None),
    }
}
