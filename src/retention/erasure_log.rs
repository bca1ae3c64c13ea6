//! What a run leaves behind: how many rows of which table it erased, and an
//! alert for a policy that fails. Neither names a person.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Result;
use uuid::Uuid;

use super::target::{Facts, KeyRange};
use crate::alerts::kinds::RETENTION_POLICY_FAILING;
use crate::alerts::{self, Alert};
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

/// Opens an alert for each of these policies, with the error.
pub(crate) async fn alert(
    db: Unprepared<'_>,
    failing: &[(String, String)],
    now: DateTime<Utc>,
) -> Result<()> {
    let raised: Vec<Alert> = failing
        .iter()
        .map(|(target, error)| {
            let details = json!({ "target": target, "error": error });
            RETENTION_POLICY_FAILING.about(target, &[target], details)
        })
        .collect();
    alerts::open(db, &raised, now).await.map(drop)
}

/// Resolves the alerts of all policies but these.
pub(crate) async fn resolve(
    Unprepared(connection): Unprepared<'_>,
    all_but: &[String],
    now: DateTime<Utc>,
) -> Result<()> {
    let open = alerts::open_of_kind(Unprepared(connection), &RETENTION_POLICY_FAILING).await?;
    let spared: Vec<String> = all_but
        .iter()
        .map(|target| RETENTION_POLICY_FAILING.key(target))
        .collect();
    let over = open
        .into_iter()
        .filter(|alert| !spared.contains(&alert.dedup_key));
    let ids: Vec<Uuid> = over.map(|alert| alert.id).collect();
    alerts::resolve(Unprepared(connection), &ids, now)
        .await
        .map(drop)
}
