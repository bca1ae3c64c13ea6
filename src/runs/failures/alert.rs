//! The alert `schedule_failing`: opened by a message, ended by a success.

use serde_json::json;
use sqlx::{Error, Executor, Result};
use uuid::Uuid;

use super::whose::whose;
use super::{Failed, KIND, Noted, Shape, one_after_the_other};
use crate::database::Unnamed;
use crate::runs::{Call, Trigger};

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
pub(super) async fn open(db: Unnamed<'_>, failed: &Failed, schedule: &str) -> Result<Noted> {
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
        "Once it is mended, replay the message from QStash's DLQ, or wait for the next tick: the first success ends this alert",
    ]);
    let occurrences = sqlx::query_scalar!(
        "insert into alerts (kind, severity, dedup_key, title, details, recommended_actions,
                             opened_at, last_seen_at)
         values ($1, 'high', $1 || ':' || $2, $3, $4, $5, clock_timestamp(), clock_timestamp())
         on conflict (dedup_key) where status in ('open', 'acknowledged')
         do update
            set last_seen_at = excluded.last_seen_at,
                occurrences = alerts.occurrences + 1,
                details = excluded.details
         returning occurrences",
        KIND,
        schedule,
        failed.title(),
        details,
        actions,
    )
    .fetch_one(db)
    .await?;
    Ok(match occurrences {
        1 => Noted::Opened,
        _ => Noted::Bumped,
    })
}

/// Ends what the success of `call` has mended, in the transaction that settles
/// it as `run_id`. Whoever is in the way does not keep the run from being
/// settled: the next success ends it.
pub(in crate::runs) async fn mend(db: Unnamed<'_>, call: &Call, run_id: Uuid) -> Result<()> {
    if call.caller.trigger != Trigger::Qstash || call.options.dry_run {
        return Ok(());
    }
    let Unnamed(connection) = db;
    connection.execute(ASIDE).await?;
    match end(Unnamed(connection), call, run_id).await {
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

async fn end(db: Unnamed<'_>, call: &Call, run_id: Uuid) -> Result<()> {
    let Unnamed(connection) = db;
    one_after_the_other(Unnamed(connection), call.job).await?;
    let schedule_id = call.caller.schedule_id.as_deref();
    let continues = call.options.continuation_of;
    let whose = whose(Unnamed(connection), call.job, schedule_id, continues).await?;
    if !whose.is_qstashs {
        return Ok(());
    }
    mark(Unnamed(connection), call, &whose.schedule_id, run_id).await?;
    resolve(
        Unnamed(connection),
        call.job.name,
        &whose.schedule_id,
        run_id,
    )
    .await
}

/// Marks the failed messages that this success covers: what failed after it
/// had begun is not mended by it. Rows that somebody holds keep the alert open.
async fn mark(db: Unnamed<'_>, call: &Call, schedule: &str, run_id: Uuid) -> Result<()> {
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

/// Ends the alert once nothing is left of what it was about. Somebody who
/// looks at it right now holds nobody up: the next success ends it.
async fn resolve(db: Unnamed<'_>, job: &str, schedule: &str, run_id: Uuid) -> Result<()> {
    sqlx::query!(
        r#"
        with over as (
            select id
              from alerts
             where dedup_key = $3 || ':' || $1
               and status in ('open', 'acknowledged')
               and not exists (
                   select from delivery_failures
                    where counts_for = $1
                      and mended_at is null
                      and not dry_run
               )
               for update skip locked
        ), resolved as (
            update alerts a
               set status = 'resolved',
                   resolved_at = clock_timestamp(),
                   resolved_by = 'system'
              from over
             where a.id = over.id
            returning a.opened_at, a.occurrences
        )
        insert into system_logs ("timestamp", log_type, message, details, run_id)
        select clock_timestamp(), 'cron_' || $3, $4 || ' works again',
               jsonb_build_object(
                   'job', $4::text,
                   'schedule_id', $1::text,
                   'failing_since', opened_at,
                   'failed_messages', occurrences,
                   'alert', 'resolved'
               ),
               $2
          from resolved
        "#,
        schedule,
        run_id,
        KIND,
        job,
    )
    .execute(db)
    .await?;
    Ok(())
}
