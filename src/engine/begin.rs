//! The begin of a run: one transaction that decides, under the lock of the
//! lease, whether this call runs, is answered by an earlier run, or is skipped.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::lease::{self, Lease, LeaseState, Part, divisions};
use super::{Answer, Call, JobError, Run, Status, Trigger, clock, context, ledger};
use crate::database::{self, Fault, Pool, Transaction, TxLimits, Unprepared};

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
pub(super) async fn begin(db: &Pool, call: &Call, ttl: Duration) -> Result<Decision, JobError> {
    match tokio::time::timeout(TIMEOUT, decide_and_commit(db, call, ttl)).await {
        Ok(decision) => decision.map_err(begin_error),
        Err(_) => Err(JobError::unreachable("begin a run: no answer in time")),
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

async fn decide_and_commit(db: &Pool, call: &Call, ttl: Duration) -> sqlx::Result<Decision> {
    let mut tx = database::begin(db, TxLimits::CONTROL).await?;
    let lease = lease::lock(Unprepared(&mut tx), Part::of(call)).await?;
    let decision = decide(&mut tx, call, &lease, ttl).await?;
    tx.commit().await?;
    Ok(decision)
}

async fn decide(
    tx: &mut Transaction,
    call: &Call,
    lease: &LeaseState,
    ttl: Duration,
) -> sqlx::Result<Decision> {
    let attempt = match attempt_or_answer(tx, call, lease).await? {
        Ok(attempt) => attempt,
        Err(earlier) => return Ok(answer(earlier)),
    };
    let now = database::now(Unprepared(tx)).await?;
    if call.options.as_of.is_some_and(|moment| moment > now) {
        return Ok(answer(Answer::FutureMoment));
    }
    clock::report(tx, call.job, lease, now).await?;
    let now = call.options.as_of.unwrap_or(now);
    if is_paused(Unprepared(tx), call.job.name).await? {
        if !lease.is_alive {
            settle_dead_runs(tx, call).await?;
        }
        return skip(tx, call, attempt, "paused").await;
    }
    let part = Part::of(call);
    if lease.is_alive
        || divisions::is_divided_otherwise(Unprepared(tx), part).await?
        || !divisions::end_other_divisions(Unprepared(tx), part).await?
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
async fn blocking_run(tx: &mut Transaction, call: &Call) -> sqlx::Result<Option<Run>> {
    if call.caller.trigger != Trigger::Qstash || call.options.continuation_of.is_none() {
        return Ok(None);
    }
    let blocking = divisions::blocking_run(Unprepared(tx), call).await?;
    Run::find(Unprepared(tx), blocking).await
}

/// Which attempt at its message this call is, or the answer that an earlier
/// run gives. A token that a run has spent never runs twice, whatever the
/// message id says, because the message id is not signed. Token and message run
/// again after a failure only.
async fn attempt_or_answer(
    tx: &mut Transaction,
    call: &Call,
    lease: &LeaseState,
) -> sqlx::Result<Result<i32, Answer>> {
    let [by_token, by_message] = ledger::earlier(Unprepared(tx), call).await?;
    if let Some(run) = &by_token
        && run.message_id != call.caller.message_id
    {
        let (run_id, message_id) = (run.id, call.caller.message_id.as_deref());
        tracing::warn!(%run_id, message_id, "The token came before with another message id");
    }
    let mut attempt = 1;
    for run in [by_token, by_message].into_iter().flatten() {
        if run.status == Status::Running && lease.is_alive && lease.run_id == Some(run.id) {
            return Ok(Err(Answer::StillRunning(run)));
        }
        if run.status.is_final_for_its_message() {
            let continuation = None;
            return Ok(Err(Answer::Replayed { run, continuation }));
        }
        attempt = attempt.max(run.attempt + 1);
    }
    Ok(Ok(attempt))
}

async fn start(
    tx: &mut Transaction,
    call: &Call,
    attempt: i32,
    now: DateTime<Utc>,
    ttl: Duration,
) -> sqlx::Result<Decision> {
    settle_dead_runs(tx, call).await?;
    let part = Part::of(call);
    let id = Uuid::now_v7();
    let lease = lease::take(Unprepared(tx), part, id, ttl).await?;
    ledger::insert(Unprepared(tx), call, id, attempt, Ok(lease.epoch)).await?;
    let checkpoint = ledger::checkpoint_before(Unprepared(tx), id).await?;
    Ok(Decision::Run(Started {
        lease,
        now,
        checkpoint,
    }))
}

/// Settles the runs that this part's lease, or no lease, names any more.
async fn settle_dead_runs(tx: &mut Transaction, call: &Call) -> sqlx::Result<()> {
    for run_id in ledger::abandon(Unprepared(tx), Part::of(call)).await? {
        record_end(tx, call, run_id).await?;
    }
    Ok(())
}

async fn skip(
    tx: &mut Transaction,
    call: &Call,
    attempt: i32,
    reason: &'static str,
) -> sqlx::Result<Decision> {
    let id = Uuid::now_v7();
    ledger::insert(Unprepared(tx), call, id, attempt, Err(reason)).await?;
    let run = record_end(tx, call, id).await?;
    tracing::info!(job = call.job.name, run_id = %id, reason, "Skipped the run");
    Ok(answer(Answer::Settled {
        run,
        unreachable: false,
        continuation: None,
    }))
}

/// Reads a row back, logs it and adds it to the totals.
async fn record_end(tx: &mut Transaction, call: &Call, id: Uuid) -> sqlx::Result<Run> {
    let run = Run::get(Unprepared(tx), id).await?;
    ledger::record_end(Unprepared(tx), call.job, &run).await?;
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
               and pause_holds(until, resumed)
        ) as "paused!"
        "#,
        job,
    )
    .fetch_one(db)
    .await
}
