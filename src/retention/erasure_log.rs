//! What stays of an erasure: how many rows of which table, and an alert when
//! a policy fails. Neither names anybody.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Result;
use uuid::Uuid;

use super::rules::{Rule, Span};
use crate::alerts::kinds::RETENTION_POLICY_FAILING;
use crate::alerts::{self, Alert};
use crate::database::Unprepared;

/// How long a batch's statements may wait and take, as Postgres writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) for_locks: &'static str,
    pub(crate) for_statements: &'static str,
}

/// Opens a batch: bounds its statements, and says whether any legal hold is
/// active. Compiling a statement that runs once takes longer than running it.
pub(crate) async fn open(
    db: Unprepared<'_>,
    patience: Patience,
    now: DateTime<Utc>,
) -> Result<bool> {
    let opened = sqlx::query!(
        r#"
        select set_config('lock_timeout', $1, true) as locks,
               set_config('statement_timeout', $2, true) as statements,
               set_config('jit', 'off', true) as jit,
               exists (
                   select from legal_holds
                    where until is null
                       or until > $3
               ) as "any_held!"
        "#,
        patience.for_locks,
        patience.for_statements,
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(opened.any_held)
}

/// Adds to what this run has erased from the rule's table.
pub(crate) async fn log(db: Unprepared<'_>, rule: &Rule, span: &Span, affected: i64) -> Result<()> {
    sqlx::query!(
        "insert into erasure_log as l (run_id, target, action, cutoff, affected, at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (run_id, target) do update
            set affected = l.affected + excluded.affected",
        span.run_id,
        rule.target,
        rule.action,
        span.cutoff,
        affected,
        span.now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Opens an alert for each of these policies, with the error.
pub(crate) async fn alert(
    db: Unprepared<'_>,
    targets: &[String],
    errors: &[String],
    now: DateTime<Utc>,
) -> Result<()> {
    let failing = targets.iter().zip(errors);
    let raised: Vec<Alert> = failing
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
