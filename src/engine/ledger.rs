//! The ledger: one row per run, kept in `job_runs`, and its line in `system_logs`.
//!
//! Owns what a run was and how it ended. A redelivery after a failure is a
//! new row with the next attempt; a settled row is never written again.

use serde_json::{Value, json};
use sqlx::Result;
use uuid::Uuid;

use super::lease::Part;
use super::{Call, Job, Run, Status, totals};
use crate::database::{self, Transaction, Unprepared};
use crate::foreign_text::ForeignText;

/// The latest run of this call's token, and that of its message.
pub(super) async fn earlier(db: Unprepared<'_>, call: &Call) -> Result<[Option<Run>; 2]> {
    let ids = sqlx::query!(
        "select (select id
                   from job_runs
                  where signature_jti = $1
                  order by attempt desc, id desc
                  limit 1) as by_token,
                (select id
                   from job_runs
                  where message_id = $2
                    and job = $3
                  order by attempt desc, id desc
                  limit 1) as by_message",
        call.caller.jti,
        call.caller.message_id,
        call.job.name,
    )
    .fetch_one(Unprepared(db.0))
    .await?;
    let by_token = Run::find(Unprepared(db.0), ids.by_token).await?;
    Ok([by_token, Run::find(db, ids.by_message).await?])
}

/// Writes a new row, dated by the database's clock: with the epoch of its
/// lease, or settled as skipped, with the reason. What QStash delivers for no
/// schedule belongs to what began the chain that it continues.
pub(super) async fn insert(
    db: Unprepared<'_>,
    call: &Call,
    id: Uuid,
    attempt: i32,
    epoch: std::result::Result<i64, &str>,
) -> Result<()> {
    let (caller, part) = (&call.caller, Part::of(call));
    let [actor, reason] = [&caller.actor, &caller.reason].map(|words| kept(words.as_deref()));
    let (status, results) = match epoch {
        Ok(_) => (Status::Running, json!({})),
        Err(reason) => (Status::Skipped, why_skipped(call, reason)),
    };
    let options = serde_json::to_value(&call.options).unwrap_or_default();
    sqlx::query!(
        "insert into job_runs (id, job, shard, shard_count, trigger, actor, reason, message_id,
                               schedule_id, attempt, signature_jti, options, dry_run, status,
                               epoch, continuation_of, chain_schedule_id, chain_trigger,
                               chain_position, started_at, finished_at, results)
         select $1, $2, $3, $4, $5::text, $6, $7, $8, $9::text, $10, $11, $12, $13, $14::text, $15,
                before.id,
                coalesce($9, before.chain_schedule_id, before.schedule_id),
                case
                    when $5 = 'qstash' and $9 is null
                    then coalesce(before.chain_trigger, before.trigger, $5)
                    else $5
                end,
                case
                    when before.options ? 'fan_out' then 1
                    else coalesce(before.chain_position + 1, 1)
                end,
                clock_timestamp(), case when $14::text = 'skipped' then clock_timestamp() end, $16
           from (values (1)) as always
           left join job_runs before
             on before.id = $17
            and before.job = $2",
        id,
        call.job.name,
        part.shard,
        part.count,
        caller.trigger.name(),
        actor.as_deref(),
        reason.as_deref(),
        caller.message_id,
        caller.schedule_id,
        attempt,
        caller.jti,
        options,
        call.options.dry_run,
        status.name(),
        epoch.ok(),
        results,
        call.options.continuation_of,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What callers say of themselves, as it may be kept.
pub(super) fn kept(words: Option<&str>) -> Option<ForeignText> {
    words.map(ForeignText::new)
}

/// The results of a skipped run: the reason, and what that means for a chain.
fn why_skipped(call: &Call, reason: &str) -> Value {
    let mut results = json!({ "reason": reason });
    if call.options.continuation_of.is_some() {
        let then = match reason {
            "already_running" => "the chain ends here: the run that is alive does the work",
            _ => "the chain ends here: the next tick continues",
        };
        results["then"] = then.into();
    }
    results
}

/// Where the run stopped that this one continues, with the same options.
pub(super) async fn checkpoint_before(db: Unprepared<'_>, id: Uuid) -> Result<Option<Value>> {
    let checkpoint = sqlx::query_scalar!(
        "select before.place
           from job_runs r
           join job_runs before on before.id = r.continuation_of
          where r.id = $1
            and before.status = 'partial'
            and before.options - 'continuation_of' = r.options - 'continuation_of'",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(checkpoint.flatten())
}

/// Settles the rows of a part whose lease ran out, and those of other
/// divisions whose lease was ended; answers which.
pub(super) async fn abandon(db: Unprepared<'_>, part: Part) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update job_runs r
            set status = 'abandoned',
                finished_at = clock_timestamp(),
                error = 'its lease ran out'
          where job = $1
            and status = 'running'
            and (shard = $2
                 or shard_count <> $3 and not exists (
                     select from job_leases l
                      where l.job = r.job
                        and l.run_id = r.id
                 ))
         returning id",
        part.job,
        part.shard,
        part.count,
    )
    .fetch_all(db)
    .await
}

/// Settles a row that is not settled; `false` when there was none. Where a run
/// broke off, what its batches noted wins: the answer to the last commit may
/// have been lost, but not the commit. Without `results` it is all that counts.
pub(super) async fn finish(
    db: Unprepared<'_>,
    id: Uuid,
    status: Status,
    results: Option<&Value>,
    error: Option<ForeignText>,
    checkpoint: Option<Value>,
) -> Result<bool> {
    let finished = sqlx::query!(
        "update job_runs
            set status = $2,
                results = case
                    when $3::jsonb is null then results
                    when $2 in ('failed', 'fenced') and not dry_run then $3 || results
                    else $3
                end,
                error = $4,
                place = $5,
                finished_at = clock_timestamp()
          where id = $1
            and status = 'running'",
        id,
        status.name(),
        results,
        error.as_deref(),
        checkpoint,
    )
    .execute(db)
    .await?;
    Ok(finished.rows_affected() == 1)
}

/// Notes what a batch has committed, in the batch's own transaction.
pub(super) async fn note_results(db: Unprepared<'_>, run_id: Uuid, results: &Value) -> Result<()> {
    sqlx::query!(
        "update job_runs set results = $2 where id = $1",
        run_id,
        results
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Logs a run that was settled in this transaction, unless it was a dry run,
/// and adds it to the totals. What the database refuses of that costs the line,
/// or leaves the run to the next that is counted, but never the settlement.
pub(super) async fn record_end(db: Unprepared<'_>, job: &Job, run: &Run) -> Result<()> {
    let Unprepared(db) = db;
    if !run.dry_run {
        log_end(db, job, run).await?;
    }
    database::begin_part(db).await?;
    let counted = totals::count(Unprepared(db), job).await;
    if let Some(error) = database::end_part(db, counted).await? {
        let error = &*ForeignText::new(error.message());
        tracing::error!(job = job.name, run_id = %run.id, error, "Failed to add the run to the totals: the next one does");
    }
    Ok(())
}

async fn log_end(db: &mut Transaction, job: &Job, run: &Run) -> Result<()> {
    let details = json!({
        "job": run.job,
        "status": run.status.name(),
        "duration_ms": run.duration_ms,
        "results": run.results,
        "error": run.error,
    });
    let (level, id) = (run.status.level(), Some(run.id));
    log(db, job.log_type, level, run.message(), details, id).await
}

/// Writes a line in `system_logs`. What the database refuses of it costs the
/// line, and nothing else of the transaction.
pub(super) async fn log(
    db: &mut Transaction,
    log_type: &str,
    level: &str,
    message: String,
    details: Value,
    run_id: Option<Uuid>,
) -> Result<()> {
    database::begin_part(db).await?;
    let line = sqlx::query!(
        r#"insert into system_logs ("timestamp", log_type, level, message, details, run_id)
           values (clock_timestamp(), $1, $2, $3, $4, $5)"#,
        log_type,
        level,
        message,
        details,
        run_id,
    );
    let written = line.execute(Unprepared(db)).await.map(drop);
    if let Some(error) = database::end_part(db, written).await? {
        let error = &*ForeignText::new(error.message());
        let run_id = run_id.map(tracing::field::display);
        tracing::error!(log_type, run_id, error, "Failed to write into system_logs");
    }
    Ok(())
}
