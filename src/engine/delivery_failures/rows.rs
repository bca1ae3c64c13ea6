//! A failed message as a row of `delivery_failures`, and as a line in
//! `system_logs`. A message that is there already is left as it is.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Result;

use super::attribution::of_job;
use super::{Failed, KIND, Noted};
use crate::database::Unprepared;

/// A row that was not there before.
pub(super) struct Written {
    /// Whether a run has succeeded since.
    pub(super) is_mended: bool,
    /// When it was written.
    pub(super) received_at: DateTime<Utc>,
}

/// Writes the row, and whether a run has succeeded since the last attempt. That
/// attempt is dated by the ledger; when it never came to that, by QStash, whose
/// clock may be wrong: nobody tells of what is yet to come.
pub(super) async fn insert(
    db: Unprepared<'_>,
    failed: &Failed,
    schedule: &str,
) -> Result<Option<Written>> {
    let shape = failed.shape();
    sqlx::query_as!(
        Written,
        r#"
        with attempt as (
            select least(coalesce(max(started_at), $14), clock_timestamp()) as failed_at
              from job_runs
             where message_id = $1
               and job = $2
        ), mend as (
            select r.id, r.finished_at
              from job_runs r
             where r.job = $2
               and r.status = 'succeeded'
               and not r.dry_run
               and r.started_at >= (select failed_at from attempt)
               and coalesce(r.chain_trigger, r.trigger) = 'qstash'
               and coalesce(r.chain_schedule_id, r.schedule_id, $15) = $4
               and case
                   when r.options ? 'fan_out' then $17::boolean
                   when coalesce((r.options -> 'shard' ->> 'count')::int, 1) = $6 then r.shard = $5
                   else true
               end
             order by r.started_at
             limit 1
        )
        insert into delivery_failures (source_message_id, job, schedule_id, counts_for, shard, shards,
                                       dry_run, status, retried, max_retries, dlq_id, url, response,
                                       options, failed_at, received_at, mended_at, mended_by)
        select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $16,
               attempt.failed_at, clock_timestamp(), mend.finished_at, mend.id
          from attempt
          left join mend on true
        on conflict (source_message_id) do nothing
        returning mended_by is not null as "is_mended!", received_at
        "#,
        failed.message_id,
        failed.job.name,
        failed.schedule_id,
        schedule,
        shape.shard,
        shape.shards,
        shape.dry_run,
        failed.status,
        failed.retried,
        failed.max_retries,
        failed.dlq_id,
        failed.url,
        failed.response,
        failed.due_at,
        of_job(failed.job),
        failed.options.as_ref().and_then(|options| serde_json::to_value(options).ok()),
        shape.hands_out,
    )
    .fetch_optional(db)
    .await
}

/// Tells the log of it.
pub(super) async fn log(
    db: Unprepared<'_>,
    failed: &Failed,
    schedule: &str,
    noted: Noted,
) -> Result<()> {
    let details = json!({
        "job": failed.job.name,
        "schedule_id": schedule,
        "message_id": failed.message_id,
        "status": failed.status,
        "retried": failed.retried,
        "dlq_id": failed.dlq_id,
        "alert": noted.name(),
    });
    let level = match noted {
        Noted::Opened | Noted::Bumped => "error",
        _ => "warning",
    };
    sqlx::query!(
        r#"insert into system_logs ("timestamp", log_type, level, message, details)
           values (clock_timestamp(), 'cron_' || $1, $2, $3, $4)"#,
        KIND,
        level,
        failed.in_words(),
        details,
    )
    .execute(db)
    .await?;
    Ok(())
}
