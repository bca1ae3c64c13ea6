//! Writes the verdicts about members: their row, its history, their alerts.
//!
//! One statement for scores and history, guarded by the member being there to
//! be scored still; the score of a member who leaves in that very moment is
//! deleted by the next run. A row that is newer than the moment of this run, which then
//! replays one, stays as it is, and its alerts with it.

use serde_json::json;
use sqlx::Result;
use sqlx::types::Json;
use uuid::Uuid;

use super::pages::Judged;
use super::{Results, alerts, first_nights};
use crate::churn::verdict::Level;
use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};

/// Writes the verdicts, all in the one transaction of `batch`, and adds them
/// to `sum`.
pub(super) async fn write(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    judged: &[Judged],
    sum: &mut Results,
) -> std::result::Result<(), JobError> {
    let scored = keep(batch.db()?, ctx, judged)
        .await
        .map_err(context("write scores"))?;
    sum.processed += sum.samples.add(ctx, "scored", &scored);
    let (risky, calm): (Vec<&Judged>, Vec<&Judged>) = judged
        .iter()
        .partition(|one| one.verdict.level.is_at_risk());
    if !risky.is_empty() {
        let told = alerts::open(batch.db()?, &risky, ctx.now)
            .await
            .map_err(context("open alerts"))?;
        sum.alerts_opened += sum.samples.add(ctx, "alerts_opened", &told.opened);
        if !told.together.is_empty() {
            sum.first_night_at_risk += told.together.len();
            sum.alerts_opened += first_nights::open(batch.db()?, &told.together, ctx.now)
                .await
                .map_err(context("open the alerts of first nights"))?;
        }
    }
    let was_risky = |one: &&Judged| one.member.previous.is_some_and(Level::is_at_risk);
    let left: Vec<Uuid> = calm
        .into_iter()
        .filter(was_risky)
        .map(|one| one.member.id)
        .collect();
    if !left.is_empty() {
        let resolved = alerts::resolve(batch.db()?, &left, ctx.now)
            .await
            .map_err(context("resolve alerts"))?;
        sum.alerts_resolved += sum.samples.add(ctx, "alerts_resolved", &resolved);
    }
    Ok(())
}

/// Writes scores and history; answers which members have them.
async fn keep(db: Unprepared<'_>, ctx: &JobContext, judged: &[Judged]) -> Result<Vec<Uuid>> {
    let verdicts = judged.iter().map(|one| {
        json!({
            "id": one.member.id,
            "day": one.member.today,
            "score": one.verdict.score,
            "level": one.verdict.level,
            "factors": one.verdict.factors,
            "version": one.model_version,
            "first_on": one.seen.first_on,
            "last_on": one.seen.last_on,
            "days": one.seen.facts.visits,
            "before": one.seen.facts.before,
        })
    });
    sqlx::query_file_scalar!(
        "src/jobs/daily_churn_analysis/keep.sql",
        Json(verdicts.collect::<Vec<_>>()) as _,
        ctx.now,
        ctx.options.force,
    )
    .fetch_all(db)
    .await
}
