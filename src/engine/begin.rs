//! The begin of a run: one transaction that decides, under the lock of the
//! lease, whether this call runs, is answered by an earlier run, or is skipped.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::lease::{self, Lease, LeaseState, Part};
use super::ledger::{self, Entry};
use super::{Answer, Call, JobError, Run, Status, Trigger, context, totals};
use crate::database::{self, Fault, TxLimits, Unprepared};

/// How long all of it may take; a dead connection gives no answer at all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What was decided about a call.
pub(super) enum Decision {
    /// The lease is taken; the job may run.
    Run(Started),
    /// Nothing is to be run.
    Answer(Box<Answer>),
}

/// A run that may begin.
pub(super) struct Started {
    /// The lease it holds.
    pub(super) lease: Lease,
    /// The moment it judges by.
    pub(super) now: DateTime<Utc>,
    /// Where the run that it continues stopped.
    pub(super) checkpoint: Option<Value>,
}

/// Decides about `call`, and writes the decision into the ledger.
pub(super) async fn begin(db: &PgPool, call: &Call, ttl: Duration) -> Result<Decision, JobError> {
    match tokio::time::timeout(TIMEOUT, decide_and_commit(db, call, ttl)).await {
        Ok(decision) => decision.map_err(begin_error),
        Err(_) => Err(JobError::Unreachable(anyhow::anyhow!(
            "begin a run: no answer in time"
        ))),
    }
}

/// A batch that keeps the lease locked, its process frozen or its statement
/// slow, is no failure of this call: it may come again later.
fn begin_error(error: sqlx::Error) -> JobError {
    let is_contended = database::fault(&error) == Fault::Contended;
    match context("begin a run")(error) {
        JobError::Failed(error) if is_contended => JobError::Unreachable(error),
        error => error,
    }
}

async fn decide_and_commit(db: &PgPool, call: &Call, ttl: Duration) -> sqlx::Result<Decision> {
    let mut tx = database::begin(db, TxLimits::CONTROL).await?;
    let lease = lease::lock(Unprepared(&mut tx), Part::of(call)).await?;
    let decision = decide(&mut tx, call, &lease, ttl).await?;
    tx.commit().await?;
    Ok(decision)
}

async fn decide(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    lease: &LeaseState,
    ttl: Duration,
) -> sqlx::Result<Decision> {
    let attempt = match previous_run(tx, call, lease).await? {
        PreviousRun::None => 1,
        PreviousRun::Retryable { attempts } => attempts + 1,
        PreviousRun::Running(run) => return Ok(answer(Answer::StillRunning(run))),
        PreviousRun::Final(run) => {
            let continuation = None;
            return Ok(answer(Answer::Replayed { run, continuation }));
        }
    };
    let now = database::now(Unprepared(tx)).await?;
    if call.options.as_of.is_some_and(|moment| moment > now) {
        return Ok(answer(Answer::FutureMoment));
    }
    let now = call.options.as_of.unwrap_or(now);
    if is_paused(Unprepared(tx), call.job.name).await? {
        return skip(tx, call, attempt, "paused").await;
    }
    let part = Part::of(call);
    if lease.is_alive
        || lease::is_divided_otherwise(Unprepared(tx), part).await?
        || !lease::end_other_divisions(Unprepared(tx), part).await?
    {
        return match blocking_run(tx, call).await? {
            Some(run) => Ok(answer(Answer::StillRunning(run))),
            None => skip(tx, call, attempt, "already_running").await,
        };
    }
    start(tx, call, attempt, now, ttl).await
}

/// The live run for which the rest of a run, or a shard, has to wait. No tick
/// asks for that work: QStash delivers it again where that run does not do it.
async fn blocking_run(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
) -> sqlx::Result<Option<Run>> {
    if call.caller.trigger != Trigger::Qstash || call.options.continuation_of.is_none() {
        return Ok(None);
    }
    match lease::blocking_run(Unprepared(tx), call).await? {
        Some(id) => Run::find(Unprepared(tx), id).await,
        None => Ok(None),
    }
}

/// What became of this call before.
enum PreviousRun {
    None,
    Retryable { attempts: i32 },
    Running(Run),
    Final(Run),
}

/// A spent token never runs twice, whatever the message id says, because the
/// message id is not signed. A message runs again only after a failure.
async fn previous_run(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    lease: &LeaseState,
) -> sqlx::Result<PreviousRun> {
    let is_running =
        |run: &Run| run.status == Status::Running && lease.is_alive && lease.run_id == Some(run.id);
    if let Some(jti) = &call.caller.jti
        && let Some(run) = ledger::by_jti(Unprepared(tx), jti).await?
    {
        return Ok(if is_running(&run) {
            PreviousRun::Running(run)
        } else {
            PreviousRun::Final(run)
        });
    }
    let Some(message) = &call.caller.message_id else {
        return Ok(PreviousRun::None);
    };
    let Some(run) = ledger::by_message(Unprepared(tx), call.job.name, message).await? else {
        return Ok(PreviousRun::None);
    };
    Ok(match run.status {
        _ if is_running(&run) => PreviousRun::Running(run),
        status if status.is_final_for_its_message() => PreviousRun::Final(run),
        _ => PreviousRun::Retryable {
            attempts: run.attempt,
        },
    })
}

async fn start(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    attempt: i32,
    now: DateTime<Utc>,
    ttl: Duration,
) -> sqlx::Result<Decision> {
    let part = Part::of(call);
    for run_id in ledger::abandon(Unprepared(tx), part).await? {
        log(tx, call, run_id).await?;
        totals::count(Unprepared(tx), call.job).await?;
    }
    let id = Uuid::now_v7();
    let lease = lease::take(Unprepared(tx), part, id, ttl).await?;
    let entry = Entry {
        id,
        part,
        attempt,
        epoch: Some(lease.epoch),
        skipped_because: None,
    };
    ledger::insert(Unprepared(tx), call, &entry).await?;
    let checkpoint = ledger::checkpoint_before(Unprepared(tx), id).await?;
    Ok(Decision::Run(Started {
        lease,
        now,
        checkpoint,
    }))
}

async fn skip(
    tx: &mut Transaction<'static, Postgres>,
    call: &Call,
    attempt: i32,
    reason: &'static str,
) -> sqlx::Result<Decision> {
    let id = Uuid::now_v7();
    let entry = Entry {
        id,
        part: Part::of(call),
        attempt,
        epoch: None,
        skipped_because: Some(reason),
    };
    ledger::insert(Unprepared(tx), call, &entry).await?;
    let run = log(tx, call, id).await?;
    totals::count(Unprepared(tx), call.job).await?;
    tracing::info!(job = call.job.name, run_id = %id, reason, "Skipped the run");
    Ok(answer(Answer::Settled {
        run,
        unreachable: false,
        continuation: None,
    }))
}

/// Reads a row back and writes its line in `system_logs`.
async fn log(tx: &mut Transaction<'static, Postgres>, call: &Call, id: Uuid) -> sqlx::Result<Run> {
    let run = Run::find(Unprepared(tx), id).await?;
    let run = run.ok_or(sqlx::Error::RowNotFound)?;
    ledger::log(Unprepared(tx), call.job.log_type, &run).await?;
    Ok(run)
}

fn answer(answer: Answer) -> Decision {
    Decision::Answer(Box::new(answer))
}

async fn is_paused(db: Unprepared<'_>, job: &str) -> sqlx::Result<bool> {
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
