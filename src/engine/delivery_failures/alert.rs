//! The alert `schedule_failing`: opened by a message, resolved by a success.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{Error, Executor, Result};
use uuid::Uuid;

use super::{FailedMessage, KIND, Recorded, Scope, attribution, lock};
use crate::alerts::kinds::SCHEDULE_FAILING;
use crate::alerts::{self, Alert, Resolved};
use crate::database::Unprepared;
use crate::engine::{Call, Trigger};

/// A part of the settlement that may fail alone, and waits for no lock long.
const SAVEPOINT: &str = "savepoint resolving;
     set local lock_timeout = '500ms'";
/// Its end, with the lock time-out of [`crate::database::TxLimits::CONTROL`].
const RELEASE: &str = "release savepoint resolving;
     set local lock_timeout = '4s'";
/// Undoes it; the lock time-out from before comes back by itself.
const ROLLBACK: &str = "rollback to savepoint resolving;
     release savepoint resolving";

/// Opens the alert, or counts one more occurrence of the open one.
pub(super) async fn open(
    db: Unprepared<'_>,
    failed: &FailedMessage,
    schedule: &str,
    now: DateTime<Utc>,
) -> Result<Recorded> {
    let job = failed.job.name;
    let details = json!({
        "job": job,
        "schedule_id": schedule,
        "last_message_id": failed.message_id,
        "last_status": failed.status,
        "last_response": failed.response,
        "attempts": failed.retried.map(|retried| retried + 1),
        "dlq_id": failed.dlq_id,
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
    connection.execute(SAVEPOINT).await?;
    match resolve_covered(Unprepared(connection), call, run_id).await {
        Ok(()) => connection.execute(RELEASE).await?,
        Err(Error::Database(error)) => {
            let (job, error) = (call.job.name, error.message());
            tracing::warn!(job, %run_id, error, "Failed to resolve schedule_failing: the next success does");
            connection.execute(ROLLBACK).await?
        }
        Err(error) => return Err(error),
    };
    Ok(())
}

async fn resolve_covered(db: Unprepared<'_>, call: &Call, run_id: Uuid) -> Result<()> {
    let Unprepared(db) = db;
    lock(Unprepared(db), call.job).await?;
    let schedule_id = call.caller.schedule_id.as_deref();
    let continues = call.options.continuation_of;
    let attribution = attribution::of(Unprepared(db), call.job, schedule_id, continues).await?;
    if !attribution.is_by_qstash {
        return Ok(());
    }
    let schedule = &attribution.schedule_id;
    mark_recovered(Unprepared(db), call, schedule, run_id).await?;
    resolve_alert(Unprepared(db), call.job.name, schedule, run_id).await
}

/// Marks the failed messages in the scope of this success, but not those that
/// failed after it had begun. A row that another transaction holds keeps the
/// alert open.
async fn mark_recovered(
    db: Unprepared<'_>,
    call: &Call,
    schedule: &str,
    run_id: Uuid,
) -> Result<()> {
    let scope = Scope::of(&call.options);
    sqlx::query!(
        "with covered as (
            select id
              from delivery_failures
             where counts_for = $1
               and mended_at is null
               and not dry_run
               and failed_at <= (select started_at from job_runs where id = $2)
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
        scope.shard,
        scope.shards,
        scope.is_fan_out,
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
    let Some(alert) = recovered_alert(Unprepared(connection), schedule).await? else {
        return Ok(());
    };
    let resolved = alerts::resolve(Unprepared(connection), &[alert.id], alert.now).await?;
    for alert in resolved {
        log_recovery(Unprepared(connection), job, schedule, run_id, &alert).await?;
    }
    Ok(())
}

struct Recovered {
    id: Uuid,
    now: DateTime<Utc>,
}

/// The alert of the schedule, locked, when no failure is left.
async fn recovered_alert(db: Unprepared<'_>, schedule: &str) -> Result<Option<Recovered>> {
    sqlx::query_as!(
        Recovered,
        r#"
        select id, clock_timestamp() as "now!"
          from alerts
         where dedup_key = $2 || ':' || $1
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
        KIND,
    )
    .fetch_optional(db)
    .await
}

async fn log_recovery(
    db: Unprepared<'_>,
    job: &str,
    schedule: &str,
    run_id: Uuid,
    alert: &Resolved,
) -> Result<()> {
    let details = json!({
        "job": job,
        "schedule_id": schedule,
        "failing_since": alert.opened_at,
        "failed_messages": alert.occurrences,
        "alert": "resolved",
    });
    sqlx::query!(
        r#"
        insert into system_logs ("timestamp", log_type, message, details, run_id)
        values (clock_timestamp(), 'cron_' || $1, $2, $3, $4)
        "#,
        KIND,
        format!("{job} works again"),
        details,
        run_id,
    )
    .execute(db)
    .await?;
    Ok(())
}
