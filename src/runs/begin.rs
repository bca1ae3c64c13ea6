//! The begin of a run: one transaction that decides, under the lock of the
//! lease, whether this call runs, was done before, or has to stay out.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::lease::{self, Held, Part};
use super::ledger::{self, Entry};
use super::record::{Record, Status};
use super::{Answer, Call, Trigger, new_id, totals};
use crate::database::{self, Fault, TxLimits, Unnamed};
use crate::jobs::fence::Lease;
use crate::jobs::{Stop, during};

/// How long all of it may take; a dead connection gives no answer at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was decided.
pub(super) enum Begun {
    /// The lease is taken; the job may run.
    Started(Started),
    /// Nothing is to be run.
    Answered(Box<Answer>),
}

/// A run that may begin.
pub(super) struct Started {
    /// The lease it holds.
    pub(super) lease: Lease,
    /// The moment it judges by.
    pub(super) now: DateTime<Utc>,
    /// Where the run that it continues stopped.
    pub(super) place: Option<Value>,
}

/// Decides about `call`, and writes the decision into the ledger.
pub(super) async fn begin(db: &PgPool, call: &Call, ttl: Duration) -> Result<Begun, Stop> {
    match tokio::time::timeout(PATIENCE, in_one_transaction(db, call, ttl)).await {
        Ok(begun) => begun.map_err(held_back),
        Err(_) => Err(Stop::Unreachable(anyhow::anyhow!(
            "begin a run: no answer in time"
        ))),
    }
}

/// A batch that keeps the lease locked, its process frozen or its statement
/// slow, is no failure of this call: it may come again later.
fn held_back(error: sqlx::Error) -> Stop {
    let is_contended = database::fault(&error) == Fault::Contended;
    match during("begin a run")(error) {
        Stop::Failed(error) if is_contended => Stop::Unreachable(error),
        stop => stop,
    }
}

async fn in_one_transaction(db: &PgPool, call: &Call, ttl: Duration) -> sqlx::Result<Begun> {
    let mut tx = database::begin(db, TxLimits::CONTROL).await?;
    let held = lease::lock(Unnamed(&mut tx), Part::of(call)).await?;
    let begun = decide(&mut tx, call, &held, ttl).await?;
    tx.commit().await?;
    Ok(begun)
}

async fn decide(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    held: &Held,
    ttl: Duration,
) -> sqlx::Result<Begun> {
    let attempt = match seen_before(tx, call, held).await? {
        Before::Never => 1,
        Before::MayRetry { attempts } => attempts + 1,
        Before::IsAtWork(record) => return Ok(answered(Answer::StillRunning(record))),
        Before::Spent(record) => {
            let continuation = None;
            return Ok(answered(Answer::Replayed {
                record,
                continuation,
            }));
        }
    };
    let now = clock(Unnamed(tx)).await?;
    if call.options.as_of.is_some_and(|moment| moment > now) {
        return Ok(answered(Answer::FutureMoment));
    }
    let now = call.options.as_of.unwrap_or(now);
    if paused(Unnamed(tx), call.job.name).await? {
        return skip(tx, call, attempt, "paused").await;
    }
    let part = Part::of(call);
    if held.is_alive
        || lease::is_divided_otherwise(Unnamed(tx), part).await?
        || !lease::end_other_divisions(Unnamed(tx), part).await?
    {
        return match in_the_way(tx, call).await? {
            Some(record) => Ok(answered(Answer::StillRunning(record))),
            None => skip(tx, call, attempt, "already_running").await,
        };
    }
    start(tx, call, attempt, now, ttl).await
}

/// The live run for which the rest of a run, or a shard, has to wait. Nobody
/// else comes for that: QStash brings it again where that run will not do it.
async fn in_the_way(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
) -> sqlx::Result<Option<Record>> {
    if call.caller.trigger != Trigger::Qstash || call.options.continuation_of.is_none() {
        return Ok(None);
    }
    match lease::in_the_way(Unnamed(tx), call).await? {
        Some(id) => ledger::by_id(Unnamed(tx), id).await,
        None => Ok(None),
    }
}

/// What became of this call before.
enum Before {
    Never,
    MayRetry { attempts: i32 },
    IsAtWork(Record),
    Spent(Record),
}

/// A spent token never runs twice, whatever the message id says, because the
/// message id is not signed. A message runs again only after a failure.
async fn seen_before(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    held: &Held,
) -> sqlx::Result<Before> {
    let is_at_work = |record: &Record| {
        record.status == Status::Running && held.is_alive && held.run_id == Some(record.run_id)
    };
    if let Some(jti) = &call.caller.jti
        && let Some(record) = ledger::by_jti(Unnamed(tx), jti).await?
    {
        let again = if is_at_work(&record) {
            Before::IsAtWork
        } else {
            Before::Spent
        };
        return Ok(again(record));
    }
    let Some(message) = &call.caller.message_id else {
        return Ok(Before::Never);
    };
    let Some(record) = ledger::by_message(Unnamed(tx), call.job.name, message).await? else {
        return Ok(Before::Never);
    };
    Ok(match record.status {
        _ if is_at_work(&record) => Before::IsAtWork(record),
        status if status.is_final_for_its_message() => Before::Spent(record),
        _ => Before::MayRetry {
            attempts: record.attempt,
        },
    })
}

async fn start(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    attempt: i32,
    now: DateTime<Utc>,
    ttl: Duration,
) -> sqlx::Result<Begun> {
    let part = Part::of(call);
    for run_id in ledger::abandon(Unnamed(tx), part).await? {
        log(tx, call, run_id).await?;
        totals::count(Unnamed(tx), call.job).await?;
    }
    let id = new_id();
    let lease = lease::take(Unnamed(tx), part, id, ttl).await?;
    let entry = Entry {
        id,
        part,
        attempt,
        epoch: Some(lease.epoch),
        skipped_because: None,
    };
    ledger::insert(Unnamed(tx), call, &entry).await?;
    let place = ledger::place_left_for(Unnamed(tx), id).await?;
    Ok(Begun::Started(Started { lease, now, place }))
}

async fn skip(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    attempt: i32,
    reason: &'static str,
) -> sqlx::Result<Begun> {
    let id = new_id();
    let entry = Entry {
        id,
        part: Part::of(call),
        attempt,
        epoch: None,
        skipped_because: Some(reason),
    };
    ledger::insert(Unnamed(tx), call, &entry).await?;
    let record = log(tx, call, id).await?;
    totals::count(Unnamed(tx), call.job).await?;
    tracing::info!(job = call.job.name, run_id = %id, reason, "run skipped");
    Ok(answered(Answer::Settled {
        record,
        unreachable: false,
        continuation: None,
    }))
}

/// Reads a row back and writes its line in `system_logs`.
async fn log(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    id: Uuid,
) -> sqlx::Result<Record> {
    let record = ledger::by_id(Unnamed(tx), id)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    ledger::log(Unnamed(tx), call.job.log_type, &record).await?;
    Ok(record)
}

fn answered(answer: Answer) -> Begun {
    Begun::Answered(Box::new(answer))
}

async fn clock(db: Unnamed<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
        .fetch_one(db)
        .await
}

async fn paused(db: Unnamed<'_>, job: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from job_pauses
             where job = $1
               and (until is null or until > clock_timestamp())
        ) as "paused!"
        "#,
        job,
    )
    .fetch_one(db)
    .await
}
