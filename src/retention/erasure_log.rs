//! What a run leaves behind: how many rows of which table it erased, and an
//! alert for a policy that fails. Neither names a person.

use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::target::{Facts, KeyRange};
use crate::database::Unprepared;

/// Adds to what this run has erased from the target's table.
pub(crate) async fn log(
    db: Unprepared<'_>,
    run_id: Uuid,
    target: &Facts,
    range: &KeyRange,
    affected: i64,
) -> Result<()> {
    sqlx::query!(
        "insert into erasure_log as l (run_id, target, action, cutoff, affected, at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (run_id, target) do update
            set affected = l.affected + excluded.affected",
        run_id,
        target.table,
        target.action,
        range.cutoff,
        affected,
        range.now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Opens an alert for each of these policies; one that is open is bumped, once
/// an hour at the most.
pub(crate) async fn alert(
    db: Unprepared<'_>,
    targets: &[String],
    errors: &[String],
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        r#"
        insert into alerts (kind, severity, dedup_key, title, details, recommended_actions,
                            opened_at, last_seen_at)
        select 'retention_policy_failing', 'high', 'retention_policy_failing:' || target,
               'Not everything is erased from ' || target,
               jsonb_build_object('target', target, 'error', error),
               '["Mend what the error names", "Rehearse with run cleanup-old-data --dry-run"]',
               $3, $3
          from unnest($1::text[], $2::text[]) as failing (target, error)
        on conflict (dedup_key) where status in ('open', 'acknowledged')
        do update
           set last_seen_at = excluded.last_seen_at,
               occurrences = alerts.occurrences + 1,
               details = excluded.details
         where alerts.last_seen_at <= excluded.last_seen_at - interval '1 hour'
        "#,
        targets,
        errors,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Resolves the alerts of all policies but these.
pub(crate) async fn resolve(
    db: Unprepared<'_>,
    all_but: &[String],
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "update alerts
            set status = 'resolved',
                resolved_at = $2,
                resolved_by = 'system'
          where kind = 'retention_policy_failing'
            and status in ('open', 'acknowledged')
            and dedup_key <> all(
                select 'retention_policy_failing:' || target
                  from unnest($1::text[]) as spared (target)
            )",
        all_but,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
