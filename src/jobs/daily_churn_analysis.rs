//! Scores how likely each member is not to come for thirty days.
//!
//! - What: the probability of no visit in the next thirty days, by [`model`],
//!   with its reasons, and an alert for each member who enters high or critical
//!   risk, or one for all who are there in a gym's first night; and what became of the predictions of thirty days ago, by which the
//!   model is measured on the gym's own members every night.
//! - Which rows: active members who are not frozen and did not object, by
//!   keyset over (gym, member). New members and those who never visited have a
//!   level of their own and no score; nothing is kept about members who are not
//!   to be scored.
//! - Twice is harmless: a member who has a score of this day, the gym's own
//!   date, is not scored again, and one statement writes score and history. A
//!   run that was killed is continued by the next.
//! - When: every night at two.
//!
//! Reads a page, judges it in memory and writes it back, while the next page
//! is being read; no more than two pages are held.
//!
//! [`model`]: crate::churn::model

use crate::churn::offset;
use crate::engine::batch::{BatchWork, commit_in_parts};
use crate::engine::{Batch, Completion, Job, JobContext, JobError, context, with_json_results};

mod alerts;
mod first_nights;
mod gyms;
mod last_verdicts;
mod outcomes;
mod pages;
mod pauses;
mod results;
mod scores;
mod silences;
mod snapshot;
mod unscored_members;

use outcomes::Accuracy;
use pages::{Checkpoint, Cursor, Judged};
use results::Results;

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "daily-churn-analysis",
    log_type: "cron_daily_churn",
    accepts: &[
        "dry_run",
        "as_of",
        "batch_size",
        "limit",
        "gym_id",
        "shard",
        "fan_out",
        "force",
        "continuation_of",
    ],
    totals: &[
        "processed",
        "forgotten",
        "outcomes_filled",
        "alerts_opened",
        "alerts_resolved",
    ],
    run: |ctx| with_json_results(ctx, |ctx, results| Box::pin(work(ctx, results))),
};

/// Members per transaction.
const BATCH: u32 = 1_000;

/// What is no absence is noted first; then outcomes are filled, because their
/// day is over; then what there is about members who are not scored is deleted,
/// and the others are scored.
async fn work(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    pauses::note(ctx, results).await?;
    let outcomes = fill_outcomes(ctx, results).await?;
    let forgotten = forget(ctx, results).await?;
    let scored = score(ctx, results).await?;
    if ctx.budget.is_spent() {
        return Ok(Completion::WorkLeft);
    }
    first_nights::review(ctx, results).await?;
    snapshot::take(ctx, results).await?;
    let completions = [outcomes, forgotten, scored];
    let is_done = !completions.contains(&Completion::WorkLeft);
    Ok(Completion::done_if(is_done))
}

/// Batch by batch, until nothing is due or as many as `limit` allows are done.
async fn fill_outcomes(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let before = Checkpoint::before(ctx);
    let mut left = i64::try_from(before.outcomes_left).unwrap_or(i64::MAX);
    while left > 0 {
        if ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        let rows = ctx.part_size.of(outcomes::ROWS.min(left));
        let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
            let filled = outcomes::fill(batch.db()?, ctx, rows)
                .await
                .map_err(context("fill outcomes"))?;
            sum.outcomes_filled += filled;
            Ok(filled)
        };
        let filled = ctx.fence.write(results, write).await;
        let Some(filled) = ctx.part_size.judge(rows, filled)? else {
            continue;
        };
        left -= filled;
        let outcomes_left = left.try_into().unwrap_or_default();
        ctx.checkpoint.save(&Checkpoint {
            outcomes_left,
            ..before
        });
        if filled < rows {
            break;
        }
    }
    Ok(Completion::Done)
}

/// Until nothing is left to delete. What the database refuses is left to the
/// next run: no score waits for it.
async fn forget(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    loop {
        if ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        let rows = ctx.part_size.of(unscored_members::ROWS);
        let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
            unscored_members::forget(ctx, batch, rows, sum).await
        };
        let written = ctx.fence.write(results, write).await;
        match ctx.part_size.judge(rows, written) {
            Ok(Some(true) | None) => {}
            Ok(Some(false)) => return Ok(Completion::Done),
            Err(error) if error.is_about_rows() => {
                tracing::warn!(%error, "Failed to delete the scores of members who left; the next run retries");
                results.errors += 1;
                return Ok(Completion::Done);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Page by page; while one is written, the next is read.
async fn score(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let mut cursor = Cursor::begin(ctx);
    let mut next = cursor.page(ctx).await?;
    while let Some(page) = next {
        if ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        if !page.offsets.is_empty() {
            let write = async |batch: &mut Batch<'_>, _: &mut Results| {
                offset::store(batch.db()?, &page.offsets, ctx.now)
                    .await
                    .map_err(context("keep the means of gyms"))
            };
            ctx.fence.write(results, write).await?;
        }
        let scores = &mut Scores;
        let written = commit_in_parts(ctx, scores, &page.judged, results);
        let (read, written) = tokio::join!(cursor.page(ctx), written);
        if written? == Completion::WorkLeft {
            return Ok(Completion::WorkLeft);
        }
        ctx.checkpoint.save(&page.checkpoint);
        next = read?;
    }
    Ok(cursor.completion())
}

/// Writes pages of verdicts.
struct Scores;

impl BatchWork for Scores {
    type Item = Judged;
    type Results = Results;

    async fn commit(
        &self,
        ctx: &JobContext,
        page: &[Judged],
        results: &mut Results,
    ) -> Result<(), JobError> {
        let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
            scores::write(ctx, batch, page, sum).await
        };
        ctx.fence.write(results, write).await
    }

    async fn refused(
        &self,
        _: &JobContext,
        one: &Judged,
        error: JobError,
        results: &mut Results,
    ) -> Result<(), JobError> {
        results.refused(one.member.id, &error);
        Ok(())
    }
}
