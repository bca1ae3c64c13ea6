//! The alert `schedule_failing`: opened by a message, resolved by a success.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Result;
use uuid::Uuid;

use super::{FailedMessage, LOG_TYPE, Recorded, attribution, lock};
use crate::alerts::kinds::SCHEDULE_FAILING;
use crate::alerts::{self, Alert};
use crate::database::{self, Unprepared};
use crate::engine::{Call, Trigger, ledger};
use crate::foreign_text::ForeignText;

/// Opens the alert, or counts one more occurrence of the open one.
pub(super) async fn open(
    db: Unprepared<'_>,
    failed: &FailedMessage,
    schedule: &str,
    now: DateTime<Utc>,
) -> Result<Recorded> {
    let (job, callback) = (failed.job.name, &failed.callback);
    let details = json!({
        "job": job,
        "schedule_id": schedule,
        "last_message_id": callback.message_id,
        "last_status": callback.status,
        "last_response": callback.answer,
        "attempts": callback.retried.map(|retried| retried + 1),
        "dlq_id": callback.dlq_id,
    });
    let actions = json!([
        format!(
            "Read the error of the last runs: GET /api/jobs/{job}/runs; each is at GET /api/runs/{{id}}"
        ),
        "No run there? Then nothing arrived: jarvis-cron doctor",
        format!("Try it with a dry run, then run it by hand: POST /api/cron/{job}?dry_run=true"),
        "Once the cause is fixed, replay the message from QStash's DLQ, or wait for the next tick: the first success resolves this alert",
    ]);
    let alert = Alert {
        recommended_actions: actions,
        ..SCHEDULE_FAILING.about(schedule, &[job], details)
    };
    let opened = alerts::open(db, &[alert], now).await?;
    Ok(match opened.as_slice() {
        [] => Recorded::Repeated,
        _ => Recorded::Created,
    })
}

/// Resolves the failures that the success of `call` covers, in the transaction
/// that settles it as `run_id`. Rows that another transaction holds do not keep
/// the run from being settled: the next success resolves them.
pub(in crate::engine) async fn resolve_after_success(
    db: Unprepared<'_>,
    call: &Call,
    run_id: Uuid,
) -> Result<()> {
    if call.caller.trigger != Trigger::Qstash || call.options.dry_run {
        return Ok(());
    }
    let Unprepared(connection) = db;
    database::begin_part(connection).await?;
    let resolved = resolve_covered(Unprepared(connection), call, run_id).await;
    if let Some(error) = database::end_part(connection, resolved).await? {
        let (job, error) = (call.job.name, &*ForeignText::new(error.message()));
        tracing::warn!(job, %run_id, error, "Failed to resolve schedule_failing: the next success does");
    }
    Ok(())
}

async fn resolve_covered(db: Unprepared<'_>, call: &Call, run_id: Uuid) -> Result<()> {
    let Unprepared(db) = db;
    lock(Unprepared(db), call.job).await?;
    let schedule_id = call.caller.schedule_id.as_deref();
    let continues = call.options.continuation_of;
    let (schedule, is_by_qstash) =
        attribution(Unprepared(db), call.job, schedule_id, continues).await?;
    if !is_by_qstash {
        return Ok(());
    }
    mark_recovered(Unprepared(db), call, &schedule, run_id).await?;
    resolve_alert(Unprepared(db), call.job.name, &schedule, run_id).await
}

/// Marks the failed messages in the scope of this success, but not those that
/// failed after it had begun; one dated in the future failed before the clock
/// was set back. A row that another transaction holds keeps the alert open.
async fn mark_recovered(
    db: Unprepared<'_>,
    call: &Call,
    schedule: &str,
    run_id: Uuid,
) -> Result<()> {
    let (shard, shards) = call.options.shard_of();
    sqlx::query!(
        "with covered as (
            select id
              from delivery_failures
             where counts_for = $1
               and mended_at is null
               and not dry_run
               and (failed_at <= (select started_at from job_runs where id = $2)
                    or failed_at > clock_timestamp())
               and case
                   when $5::boolean then coalesce(options ? 'fan_out', false)
                   when shards = $4 then shard = $3
                   else true
               end
               for update skip locked
        )
        update delivery_failures f
           set mended_at = clock_timestamp(),
               mended_by = $2
          from covered
         where f.id = covered.id",
        schedule,
        run_id,
        shard,
        shards,
        call.options.fan_out.is_some(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Resolves the alert once no failure is left, and logs it. When another
/// transaction holds the alert, the next success resolves it.
async fn resolve_alert(
    Unprepared(connection): Unprepared<'_>,
    job: &str,
    schedule: &str,
    run_id: Uuid,
) -> Result<()> {
    let recovered = sqlx::query!(
        r#"
        select id, clock_timestamp() as "now!"
          from alerts
         where dedup_key = $2
           and status in ('open', 'acknowledged')
           and not exists (
               select from delivery_failures
                where counts_for = $1
                  and mended_at is null
                  and not dry_run
           )
           for update skip locked
        "#,
        schedule,
        SCHEDULE_FAILING.key(schedule),
    )
    .fetch_optional(Unprepared(connection))
    .await?;
    let Some(alert) = recovered else {
        return Ok(());
    };
    for alert in alerts::resolve(Unprepared(connection), &[alert.id], alert.now).await? {
        let message = format!("{job} works again");
        let details = json!({
            "job": job,
            "schedule_id": schedule,
            "failing_since": alert.opened_at,
            "failed_messages": alert.occurrences,
            "alert": "resolved",
        });
        let id = Some(run_id);
        ledger::log(connection, LOG_TYPE, "info", message, details, id).await?;
    }
    Ok(())
}
