//! A failed message as a row of `delivery_failures`, and as a line in
//! `system_logs`. A message that is there already is left as it is.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Result;

use super::attribution::of_job;
use super::{FailedMessage, KIND, Recorded};
use crate::database::Unprepared;

/// A row that was not there before.
pub(super) struct NewRow {
    /// Whether a run has succeeded since.
    pub(super) has_recovered: bool,
    /// When it was written.
    pub(super) received_at: DateTime<Utc>,
}

/// Writes the row, and whether a run has succeeded since the last attempt. That
/// attempt is dated by the ledger; where it has no run of the message, by
/// QStash, but never later than now: its clock may be wrong.
pub(super) async fn insert(
    db: Unprepared<'_>,
    failed: &FailedMessage,
    schedule: &str,
) -> Result<Option<NewRow>> {
    let scope = failed.scope();
    sqlx::query_as!(
        NewRow,
        r#"
        with attempt as (
            select least(coalesce(max(started_at), $14), clock_timestamp()) as failed_at
              from job_runs
             where message_id = $1
               and job = $2
        ), recovery as (
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
               attempt.failed_at, clock_timestamp(), recovery.finished_at, recovery.id
          from attempt
          left join recovery on true
        on conflict (source_message_id) do nothing
        returning mended_by is not null as "has_recovered!", received_at
        "#,
        failed.message_id,
        failed.job.name,
        failed.schedule_id,
        schedule,
        scope.shard,
        scope.shards,
        scope.dry_run,
        failed.status,
        failed.retried,
        failed.max_retries,
        failed.dlq_id,
        failed.url,
        failed.response,
        failed.due_at,
        of_job(failed.job),
        failed.options.as_ref().and_then(|options| serde_json::to_value(options).ok()),
        scope.is_fan_out,
    )
    .fetch_optional(db)
    .await
}

/// Writes the line in `system_logs`.
pub(super) async fn log(
    db: Unprepared<'_>,
    failed: &FailedMessage,
    schedule: &str,
    recorded: Recorded,
) -> Result<()> {
    let details = json!({
        "job": failed.job.name,
        "schedule_id": schedule,
        "message_id": failed.message_id,
        "status": failed.status,
        "retried": failed.retried,
        "dlq_id": failed.dlq_id,
        "alert": recorded.name(),
    });
    let level = match recorded {
        Recorded::Created | Recorded::Repeated => "error",
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
