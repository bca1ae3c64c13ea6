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
use super::{Results, alerts};
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
        let opened = alerts::open(batch.db()?, &risky, ctx.now)
            .await
            .map_err(context("open alerts"))?;
        sum.alerts_opened += sum.samples.add(ctx, "alerts_opened", &opened);
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
    sqlx::query_scalar!(
        r#"
        with judged as (
            select m.id, m.gym_id, j.day, j.score, j.level, j.factors, j.version,
                   j.first_on, j.last_on, j.days, j.before
              from jsonb_to_recordset($1)
                   as j (id uuid, day date, score real, level text, factors jsonb, version text,
                         first_on date, last_on date, days int, before int)
              join churn_members m on m.id = j.id and m.is_scored
        ), current as (
            insert into member_churn as c (member_id, gym_id, score, level, factors, model_version,
                                           scored_on, computed_at, first_visit_on,
                                           last_visit_on, visit_days, visits_before)
            select id, gym_id, score, level, factors, version, day, $2,
                   first_on, last_on, days, before
              from judged
                on conflict (member_id) do update
               set gym_id = excluded.gym_id,
                   score = excluded.score,
                   level = excluded.level,
                   factors = excluded.factors,
                   model_version = excluded.model_version,
                   scored_on = excluded.scored_on,
                   computed_at = excluded.computed_at,
                   first_visit_on = excluded.first_visit_on,
                   last_visit_on = excluded.last_visit_on,
                   visit_days = excluded.visit_days,
                   visits_before = excluded.visits_before
             where c.scored_on <= excluded.scored_on
        ), history as (
            insert into member_churn_history as h (member_id, scored_on, gym_id, score, level,
                                                   model_version, scored_at)
            select id, day, gym_id, score, level, version, $2
              from judged
                on conflict (member_id, scored_on) do update
               set gym_id = excluded.gym_id,
                   score = excluded.score,
                   level = excluded.level,
                   model_version = excluded.model_version,
                   scored_at = excluded.scored_at,
                   outcome = null,
                   has_no_outcome = false
             where $3
        )
        select id as "id!"
          from judged
        "#,
        Json(verdicts.collect::<Vec<_>>()) as _,
        ctx.now,
        ctx.options.force,
    )
    .fetch_all(db)
    .await
}
