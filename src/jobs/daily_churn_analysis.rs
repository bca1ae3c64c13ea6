//! Scores how likely each member is not to come for thirty days.
//!
//! - What: the probability of no visit in the next thirty days, by [`model`],
//!   with its reasons, and an alert for who enters high or critical risk; and
//!   what became of the predictions of thirty days ago, by which the model is
//!   measured on the gym's own members every night.
//! - Which rows: active members who are not frozen and did not object, by
//!   keyset over (gym, member). The new and those who never visited are told
//!   apart and have no score; who is not to be scored leaves none behind.
//! - Twice is harmless: who has a score of this day, the gym's own date, is
//!   not scored again, and one statement writes score and history. A run that
//!   was killed is continued by the next.
//! - When: every night at two.
//!
//! Reads a page, judges it in memory and writes it back, while the next page
//! is being read; no more than two pages are held.

use crate::database::Fault;
use crate::engine::{
    Completion, Job, JobContext, JobError, JobOutcome, context, with_json_results,
};

mod alerts;
mod outcomes;
mod results;
mod scores;
mod snapshot;
mod unscored_members;
mod walk;

use outcomes::Accuracy;
use results::Results;
use walk::{Judged, Stood, Walk};

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
    run: |ctx| with_json_results(run(ctx)),
};

/// Members per transaction.
const BATCH: u32 = 1_000;
/// How often a batch is tried while somebody else holds one of its rows.
const TRIES: u32 = 3;
/// Runs the job.
async fn run(ctx: &JobContext) -> JobOutcome<Results> {
    let mut results = Results::default();
    let end = work(ctx, &mut results).await;
    JobOutcome { results, end }
}

/// Outcomes first, because they are owed; then who is left is forgotten, and
/// the others are scored.
async fn work(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let outcomes = fill_outcomes(ctx, results).await?;
    let forgotten = forget(ctx, results).await?;
    let scored = score(ctx, results).await?;
    if ctx.budget.is_spent() {
        return Ok(Completion::WorkLeft);
    }
    snapshot::take(ctx, results).await?;
    let finishes = [outcomes, forgotten, scored];
    Ok(if finishes.contains(&Completion::WorkLeft) {
        Completion::WorkLeft
    } else {
        Completion::Done
    })
}

/// Batch by batch, until nothing is due or as many as `limit` allows are done.
async fn fill_outcomes(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let before = Stood::before(ctx);
    let mut left = i64::try_from(before.outcomes_left).unwrap_or(i64::MAX);
    while left > 0 {
        if ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        let rows = outcomes::ROWS.min(left);
        let mut batch = ctx.fence.batch().await?;
        let filled = outcomes::fill(batch.db()?, ctx, rows)
            .await
            .map_err(context("fill outcomes"))?;
        let mut sum = results.clone();
        sum.outcomes_filled += filled;
        batch.commit(&sum).await?;
        *results = sum;
        left -= filled;
        let outcomes_left = left.try_into().unwrap_or_default();
        ctx.checkpoint.save(&Stood {
            outcomes_left,
            ..before
        });
        if filled < rows {
            break;
        }
    }
    Ok(Completion::Done)
}

/// Until nobody is left to be forgotten. What the database refuses is left to
/// the next run: no score has to wait for that.
async fn forget(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    loop {
        if ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        let mut batch = ctx.fence.batch().await?;
        let forgotten = match unscored_members::forget(ctx, &mut batch).await {
            Ok(forgotten) => forgotten,
            Err(stop) if stop.is_about_rows() => {
                tracing::warn!(error = %stop, "those who left are forgotten by the next run");
                batch.undo().await?;
                results.errors += 1;
                return Ok(Completion::Done);
            }
            Err(stop) => return Err(stop),
        };
        let mut sum = results.clone();
        sum.forgotten += forgotten.members.len() as u64;
        sum.alerts_resolved += forgotten.alerts.len() as u64;
        sum.forgotten_later = forgotten.held;
        if ctx.options.dry_run {
            sum.sample("forgotten", forgotten.members);
            sum.sample("alerts_resolved", forgotten.alerts);
        }
        batch.commit(&sum).await?;
        *results = sum;
        if !forgotten.more {
            return Ok(Completion::Done);
        }
    }
}

/// Page by page; while one is written, the next is read.
async fn score(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let mut walk = Walk::begin(ctx);
    let mut next = walk.page(ctx).await?;
    while let Some(page) = next {
        if ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        let judged = &page.judged;
        let (read, settled) = tokio::join!(walk.page(ctx), settle(ctx, judged, results));
        if settled? == Completion::WorkLeft {
            return Ok(Completion::WorkLeft);
        }
        ctx.checkpoint.save(&page.stood);
        next = read?;
    }
    Ok(walk.finish())
}

/// Commits a page. When the database refuses because of one member, each is
/// written on their own, so that one bad row spoils no other.
async fn settle(
    ctx: &JobContext,
    page: &[Judged],
    results: &mut Results,
) -> Result<Completion, JobError> {
    let mut tries = 1;
    loop {
        match commit(ctx, page, results).await {
            Err(stop) if stop.fault() == Fault::Contended && tries < TRIES => {
                if ctx.budget.is_spent() {
                    return Ok(Completion::WorkLeft);
                }
                tries += 1;
            }
            Err(stop) if stop.is_about_rows() => break,
            done => return done.map(|()| Completion::Done),
        }
    }
    for one in page {
        if ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        match commit(ctx, std::slice::from_ref(one), results).await {
            Err(stop) if stop.is_about_rows() => results.refused(one.member.id, &stop),
            done => done?,
        }
    }
    Ok(Completion::Done)
}

/// One transaction for all of `page`; `results` count it once it is kept.
async fn commit(ctx: &JobContext, page: &[Judged], results: &mut Results) -> Result<(), JobError> {
    if page.is_empty() {
        return Ok(());
    }
    let mut batch = ctx.fence.batch().await?;
    match scores::write(ctx, &mut batch, page).await {
        Ok(written) => {
            let mut sum = results.clone();
            sum.add(written, ctx.options.dry_run);
            batch.commit(&sum).await?;
            *results = sum;
            Ok(())
        }
        Err(stop) => {
            batch.undo().await?;
            Err(stop)
        }
    }
}
