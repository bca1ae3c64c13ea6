//! The ledger: one row per run, kept in `job_runs`, and its line in `system_logs`.
//!
//! Owns what a run was and how it ended. A redelivery after a failure is a
//! new row with the next attempt; a settled row is never written again.

use serde_json::{Value, json};
use sqlx::Result;
use uuid::Uuid;

use super::Call;
use super::record::{Record, Status};
use crate::database::Unnamed;

/// The run that spent this token.
pub(super) async fn by_jti(db: Unnamed<'_>, jti: &str) -> Result<Option<Record>> {
    let id = sqlx::query_scalar!("select id from job_runs where signature_jti = $1", jti)
        .fetch_optional(Unnamed(db.0))
        .await?;
    match id {
        Some(id) => by_id(db, id).await,
        None => Ok(None),
    }
}

/// The latest run of this message.
pub(super) async fn by_message(
    db: Unnamed<'_>,
    job: &str,
    message: &str,
) -> Result<Option<Record>> {
    let id = sqlx::query_scalar!(
        "select id
           from job_runs
          where message_id = $1
            and job = $2
          order by attempt desc, id desc
          limit 1",
        message,
        job,
    )
    .fetch_optional(Unnamed(db.0))
    .await?;
    match id {
        Some(id) => by_id(db, id).await,
        None => Ok(None),
    }
}

/// A run by its id.
pub(super) async fn by_id(db: Unnamed<'_>, id: Uuid) -> Result<Option<Record>> {
    let row = sqlx::query!(
        "select id, job, status, dry_run, message_id, attempt, started_at, finished_at, results,
                error
           from job_runs
          where id = $1",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Record {
        run_id: row.id,
        job: row.job,
        status: Status::named(&row.status),
        dry_run: row.dry_run,
        message_id: row.message_id,
        attempt: row.attempt,
        started_at: row.started_at,
        finished_at: row.finished_at,
        results: row.results,
        error: row.error,
    }))
}

/// What a new row begins as.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Uuid,
    pub(super) shard: i32,
    pub(super) attempt: i32,
    pub(super) epoch: Option<i64>,
    /// Skipped rows are settled as they are written.
    pub(super) skipped_because: Option<&'static str>,
}

/// Writes a new row, dated by the database's clock.
pub(super) async fn insert(db: Unnamed<'_>, call: &Call, entry: &Entry) -> Result<()> {
    let caller = &call.caller;
    let status = match entry.skipped_because {
        Some(_) => Status::Skipped,
        None => Status::Running,
    };
    let options = serde_json::to_value(&call.options).unwrap_or_default();
    let results = entry
        .skipped_because
        .map_or(json!({}), |reason| json!({ "reason": reason }));
    sqlx::query!(
        "insert into job_runs (id, job, shard, trigger, actor, reason, message_id, schedule_id,
                               attempt, signature_jti, options, dry_run, status, epoch,
                               continuation_of, started_at, finished_at, results)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text, $14,
                 (select id from job_runs where id = $15), clock_timestamp(),
                 case when $13::text = 'skipped' then clock_timestamp() end, $16)",
        entry.id,
        call.job.name,
        entry.shard,
        caller.trigger.name(),
        caller.actor,
        caller.reason,
        caller.message_id,
        caller.schedule_id,
        entry.attempt,
        caller.jti,
        options,
        call.options.dry_run,
        status.name(),
        entry.epoch,
        call.options.continuation_of,
        results,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Settles the rows of a shard whose lease ran out; answers which.
pub(super) async fn abandon(db: Unnamed<'_>, job: &str, shard: i32) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update job_runs
            set status = 'abandoned',
                finished_at = clock_timestamp(),
                error = 'its lease ran out'
          where job = $1
            and shard = $2
            and status = 'running'
         returning id",
        job,
        shard,
    )
    .fetch_all(db)
    .await
}

/// Settles a row that is not settled, or was given up on; `false` when there
/// was none. Where a run broke off, what its batches noted wins: the answer
/// to the last commit may have been lost, but not the commit.
pub(super) async fn finish(
    db: Unnamed<'_>,
    id: Uuid,
    status: Status,
    results: &Value,
    error: Option<String>,
) -> Result<bool> {
    let finished = sqlx::query!(
        "update job_runs
            set status = $2,
                results = case
                    when $2 in ('failed', 'fenced') and not dry_run then $3 || results
                    else $3
                end,
                error = $4,
                finished_at = clock_timestamp()
          where id = $1
            and status in ('running', 'abandoned')",
        id,
        status.name(),
        results,
        error,
    )
    .execute(db)
    .await?;
    Ok(finished.rows_affected() == 1)
}

/// Writes the run's line in `system_logs`; a dry run has none.
pub(super) async fn log(db: Unnamed<'_>, log_type: &str, record: &Record) -> Result<()> {
    if record.dry_run {
        return Ok(());
    }
    let details = json!({
        "job": record.job,
        "status": record.status.name(),
        "duration_ms": record.duration_ms(),
        "results": record.results,
        "error": record.error,
    });
    sqlx::query!(
        r#"insert into system_logs ("timestamp", log_type, level, message, details, run_id)
           values (clock_timestamp(), $1, $2, $3, $4, $5)"#,
        log_type,
        record.status.level(),
        record.message(),
        details,
        record.run_id,
    )
    .execute(db)
    .await?;
    Ok(())
}
