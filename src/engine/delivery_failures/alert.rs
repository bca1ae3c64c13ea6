//! The alert `schedule_failing`: opened by a message, ended by a success.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{Error, Executor, Result};
use uuid::Uuid;

use super::attribution::whose;
use super::{Failed, KIND, Noted, Shape, one_after_the_other};
use crate::alerts::kinds::SCHEDULE_FAILING;
use crate::alerts::{self, Alert, Resolved};
use crate::database::Unprepared;
use crate::engine::{Call, Trigger};

/// A part of the settlement that may fail alone, and waits for nobody long.
const ASIDE: &str = "savepoint mending;
     set local lock_timeout = '500ms'";
/// Its end, with the patience of [`crate::database::TxLimits::CONTROL`] again.
const KEPT: &str = "release savepoint mending;
     set local lock_timeout = '4s'";
/// Takes it back; the patience from before comes back by itself.
const UNDONE: &str = "rollback to savepoint mending;
     release savepoint mending";

/// Opens the alert, or bumps the one that is open.
pub(super) async fn open(
    db: Unprepared<'_>,
    failed: &Failed,
    schedule: &str,
    now: DateTime<Utc>,
) -> Result<Noted> {
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
        format!("Rehearse, then run by hand: POST /api/cron/{job}?dry_run=true"),
        "Once it is fixed, replay the message from QStash's DLQ, or wait for the next tick: the first success ends this alert",
    ]);
    let alert = Alert {
        recommended_actions: actions,
        ..SCHEDULE_FAILING.about(schedule, &[job], details)
    };
    let opened = alerts::open(db, &[alert], now).await?;
    Ok(match opened.as_slice() {
        [] => Noted::Bumped,
        _ => Noted::Opened,
    })
}

/// Ends what the success of `call` has mended, in the transaction that settles
/// it as `run_id`. Whoever is in the way does not keep the run from being
/// settled: the next success ends it.
pub(in crate::engine) async fn mend(db: Unprepared<'_>, call: &Call, run_id: Uuid) -> Result<()> {
    if call.caller.trigger != Trigger::Qstash || call.options.dry_run {
        return Ok(());
    }
    let Unprepared(connection) = db;
    connection.execute(ASIDE).await?;
    match end(Unprepared(connection), call, run_id).await {
        Ok(()) => connection.execute(KEPT).await?,
        Err(Error::Database(error)) => {
            let (job, error) = (call.job.name, error.message());
            tracing::warn!(job, %run_id, error, "left to the next success: ending schedule_failing");
            connection.execute(UNDONE).await?
        }
        Err(error) => return Err(error),
    };
    Ok(())
}

async fn end(db: Unprepared<'_>, call: &Call, run_id: Uuid) -> Result<()> {
    let Unprepared(connection) = db;
    one_after_the_other(Unprepared(connection), call.job).await?;
    let schedule_id = call.caller.schedule_id.as_deref();
    let continues = call.options.continuation_of;
    let whose = whose(Unprepared(connection), call.job, schedule_id, continues).await?;
    if !whose.is_qstashs {
        return Ok(());
    }
    mark(Unprepared(connection), call, &whose.schedule_id, run_id).await?;
    resolve(
        Unprepared(connection),
        call.job.name,
        &whose.schedule_id,
        run_id,
    )
    .await
}

/// Marks the failed messages that this success covers: what failed after it
/// had begun is not mended by it. Rows that somebody holds keep the alert open.
async fn mark(db: Unprepared<'_>, call: &Call, schedule: &str, run_id: Uuid) -> Result<()> {
    let shape = Shape::of(&call.options);
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
        shape.shard,
        shape.shards,
        shape.hands_out,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Resolves the alert once no failure is left, and logs it. When another
/// transaction holds the alert, the next success resolves it.
async fn resolve(
    Unprepared(connection): Unprepared<'_>,
    job: &str,
    schedule: &str,
    run_id: Uuid,
) -> Result<()> {
    let Some(over) = over(Unprepared(connection), schedule).await? else {
        return Ok(());
    };
    let resolved = alerts::resolve(Unprepared(connection), &[over.id], over.now).await?;
    for alert in resolved {
        log(Unprepared(connection), job, schedule, run_id, &alert).await?;
    }
    Ok(())
}

struct Over {
    id: Uuid,
    now: DateTime<Utc>,
}

/// The alert of the schedule, locked, when no failure is left.
async fn over(db: Unprepared<'_>, schedule: &str) -> Result<Option<Over>> {
    sqlx::query_as!(
        Over,
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

async fn log(
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
