//! A failed message as a row of `delivery_failures`, and as a line in
//! `system_logs`. A message that is there already is left as it is.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Result;

use super::{FailedMessage, LOG_TYPE, Recorded, schedule_of};
use crate::database::Unprepared;
use crate::engine::{Options, ledger};

/// A row that was not there before.
pub(super) struct NewRow {
    /// Whether a run has succeeded since.
    pub(super) has_recovered: bool,
    /// When it was written.
    pub(super) received_at: DateTime<Utc>,
}

/// Writes the row, and whether a run has succeeded since the last attempt. That
/// attempt is dated by the ledger; where it has no run of the message, by
/// QStash, but never later than now: its clock may be wrong. A success dated in
/// the future began before the clock was set back, and says nothing.
pub(super) async fn insert(
    db: Unprepared<'_>,
    failed: &FailedMessage,
    schedule: &str,
) -> Result<Option<NewRow>> {
    let (callback, options) = (&failed.callback, failed.options.as_ref());
    let (shard, shards) = options.map_or((0, 1), Options::shard_of);
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
               and r.started_at between (select failed_at from attempt) and clock_timestamp()
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
        callback.message_id,
        failed.job.name,
        callback.schedule_id,
        schedule,
        shard,
        shards,
        options.is_some_and(|options| options.dry_run),
        callback.status,
        callback.retried,
        callback.max_retries,
        callback.dlq_id,
        callback.url.as_deref(),
        callback.answer.as_deref(),
        callback.due_at,
        schedule_of(failed.job),
        options.and_then(|options| serde_json::to_value(options).ok()),
        options.is_some_and(|options| options.fan_out.is_some()),
    )
    .fetch_optional(db)
    .await
}

/// Writes the line in `system_logs`.
pub(super) async fn log(
    Unprepared(db): Unprepared<'_>,
    failed: &FailedMessage,
    schedule: &str,
    recorded: Recorded,
) -> Result<()> {
    let (job, callback) = (failed.job.name, &failed.callback);
    let details = json!({
        "job": job,
        "schedule_id": schedule,
        "message_id": callback.message_id,
        "status": callback.status,
        "retried": callback.retried,
        "dlq_id": callback.dlq_id,
        "alert": recorded.name(),
    });
    let level = match recorded {
        Recorded::Created | Recorded::Repeated => "error",
        _ => "warning",
    };
    let attempts = callback.retried.map_or_else(
        || "all attempts".to_owned(),
        |retried| format!("{} attempts", retried + 1),
    );
    let answer = callback
        .status
        .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let message = format!("QStash has given up on {job} after {attempts} ({answer})");
    ledger::log(db, LOG_TYPE, level, message, details, None).await
}
