//! The ledger: one row per run, kept in `job_runs`, and its line in `system_logs`.
//!
//! Owns what a run was and how it ended. A redelivery after a failure is a
//! new row with the next attempt; a settled row is never written again.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::Result;
use uuid::Uuid;

use super::Call;
use crate::database::Unnamed;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// At work, or dead and not yet found out.
    Running,
    /// All work is done.
    Succeeded,
    /// The budget was spent with work left.
    Partial,
    /// Nothing ran: another run was alive, or the job is paused.
    Skipped,
    /// It could not go on.
    Failed,
    /// It lost its lease, and committed nothing after that.
    Fenced,
    /// Its lease ran out; the next taker noticed.
    Abandoned,
}

/// A run as the ledger has it.
#[derive(Debug, Clone)]
pub struct Record {
    /// The run.
    pub run_id: Uuid,
    /// Its job.
    pub job: String,
    /// How it stands.
    pub status: Status,
    /// Whether it only rehearsed.
    pub dry_run: bool,
    /// QStash's message, if it came from there.
    pub message_id: Option<String>,
    /// From 1; counts the runs of one message.
    pub attempt: i32,
    /// On the database's clock.
    pub started_at: DateTime<Utc>,
    /// On the database's clock; unset while running.
    pub finished_at: Option<DateTime<Utc>>,
    /// What was done; only what was committed counts.
    pub results: Value,
    /// Why it could not go on.
    pub error: Option<String>,
}

impl Record {
    /// Milliseconds from begin to settle, 0 while running.
    #[must_use]
    pub fn duration_ms(&self) -> i64 {
        self.finished_at.map_or(0, |finished| {
            (finished - self.started_at).num_milliseconds()
        })
    }

    /// The run in one line: its counts that are not zero.
    #[must_use]
    pub fn message(&self) -> String {
        let counts: Vec<String> = match &self.results {
            Value::Object(results) => results
                .iter()
                .filter_map(|(name, value)| match value {
                    Value::Number(count) if count.as_f64() != Some(0.0) => {
                        Some(format!("{name} {count}"))
                    }
                    Value::String(reason) => Some(reason.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        let counts = if counts.is_empty() {
            "nothing to do".to_owned()
        } else {
            counts.join(", ")
        };
        let rehearsed = if self.dry_run { " (dry run)" } else { "" };
        match self.status {
            Status::Failed | Status::Fenced | Status::Abandoned if counts == "nothing to do" => {
                format!("{} {}{rehearsed}", self.job, self.status.name())
            }
            status => format!("{} {}{rehearsed}: {counts}", self.job, status.name()),
        }
    }
}

impl Status {
    /// The word in `job_runs.status`, in answers and in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Fenced => "fenced",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether a redelivery of its message is answered from the ledger
    /// instead of running again.
    #[must_use]
    pub fn is_final_for_its_message(self) -> bool {
        matches!(self, Self::Succeeded | Self::Partial | Self::Skipped)
    }

    fn level(self) -> &'static str {
        match self {
            Self::Failed => "error",
            Self::Fenced | Self::Abandoned => "warning",
            _ => "info",
        }
    }
}

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
        status: read_status(&row.status),
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
/// was none.
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
                results = $3,
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

/// The check on the column keeps other words out.
fn read_status(word: &str) -> Status {
    use Status::{Abandoned, Failed, Fenced, Partial, Running, Skipped, Succeeded};
    [Running, Succeeded, Partial, Skipped, Failed, Fenced]
        .into_iter()
        .find(|status| status.name() == word)
        .unwrap_or(Abandoned)
}
