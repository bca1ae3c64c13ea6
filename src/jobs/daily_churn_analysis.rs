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

use super::{Cx, Finish, Job, Stop, Worked, report};
use crate::database::Fault;

mod alerts;
mod census;
mod facts;
pub mod fit;
mod leavers;
pub mod model;
mod outcomes;
mod results;
mod scores;
pub mod verdict;
mod walk;
mod weights;

pub use outcomes::Accuracy;
pub use results::{MemberError, Results};
use walk::{Judged, Stood, Walk};

/// The job, as [`super::ALL`] lists it.
pub const JOB: Job = Job {
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
    run: |cx| report(run(cx)),
};

/// Members per transaction.
const BATCH: u32 = 1_000;
/// How often a batch is tried while somebody else holds one of its rows.
const TRIES: u32 = 3;
/// Runs the job.
pub async fn run(cx: &Cx) -> Worked<Results> {
    let mut results = Results::default();
    let end = work(cx, &mut results).await;
    Worked { results, end }
}

/// Outcomes first, because they are owed; then who is left is forgotten, and
/// the others are scored.
async fn work(cx: &Cx, results: &mut Results) -> Result<Finish, Stop> {
    let outcomes = fill_outcomes(cx, results).await?;
    let forgotten = forget(cx, results).await?;
    let scored = score(cx, results).await?;
    if cx.budget.is_spent() {
        return Ok(Finish::WorkLeft);
    }
    census::take(cx, results).await?;
    let finishes = [outcomes, forgotten, scored];
    Ok(if finishes.contains(&Finish::WorkLeft) {
        Finish::WorkLeft
    } else {
        Finish::Done
    })
}

/// Batch by batch, until nothing is due or as many as `limit` allows are done.
async fn fill_outcomes(cx: &Cx, results: &mut Results) -> Result<Finish, Stop> {
    let before = Stood::before(cx);
    let mut left = i64::try_from(before.outcomes_left).unwrap_or(i64::MAX);
    while left > 0 {
        if cx.budget.is_spent() {
            return Ok(Finish::WorkLeft);
        }
        let rows = outcomes::ROWS.min(left);
        let mut batch = cx.fence.batch().await?;
        let filled = outcomes::fill(batch.db()?, cx, rows)
            .await
            .map_err(super::during("fill outcomes"))?;
        let mut sum = results.clone();
        sum.outcomes_filled += filled;
        batch.commit(&sum).await?;
        *results = sum;
        left -= filled;
        let outcomes_left = left.try_into().unwrap_or_default();
        cx.place.leave(&Stood {
            outcomes_left,
            ..before
        });
        if filled < rows {
            break;
        }
    }
    Ok(Finish::Done)
}

/// Until nobody is left to be forgotten. Rows that somebody holds are left to
/// the next run: no score has to wait for that.
async fn forget(cx: &Cx, results: &mut Results) -> Result<Finish, Stop> {
    loop {
        if cx.budget.is_spent() {
            return Ok(Finish::WorkLeft);
        }
        let mut batch = cx.fence.batch().await?;
        let forgotten = match leavers::forget(cx, &mut batch).await {
            Ok(forgotten) => forgotten,
            Err(stop) if is_about_rows(&stop) => {
                tracing::warn!(error = %stop, "those who left are forgotten by the next run");
                batch.undo().await?;
                return Ok(Finish::Done);
            }
            Err(stop) => return Err(stop),
        };
        let mut sum = results.clone();
        sum.forgotten += forgotten.members.len() as u64;
        sum.alerts_resolved += forgotten.alerts.len() as u64;
        if cx.options.dry_run {
            sum.sample("forgotten", forgotten.members);
            sum.sample("alerts_resolved", forgotten.alerts);
        }
        batch.commit(&sum).await?;
        *results = sum;
        if !forgotten.more {
            return Ok(Finish::Done);
        }
    }
}

/// Page by page; while one is written, the next is read.
async fn score(cx: &Cx, results: &mut Results) -> Result<Finish, Stop> {
    let mut walk = Walk::begin(cx);
    let mut next = walk.page(cx).await?;
    while let Some(page) = next {
        if cx.budget.is_spent() {
            return Ok(Finish::WorkLeft);
        }
        let judged = &page.judged;
        let (read, settled) = tokio::join!(walk.page(cx), settle(cx, judged, results));
        if settled? == Finish::WorkLeft {
            return Ok(Finish::WorkLeft);
        }
        cx.place.leave(&page.stood);
        next = read?;
    }
    Ok(walk.finish())
}

/// Commits a page. When the database refuses because of one member, each is
/// written on their own, so that one bad row spoils no other.
async fn settle(cx: &Cx, page: &[Judged], results: &mut Results) -> Result<Finish, Stop> {
    let mut tries = 1;
    loop {
        match commit(cx, page, results).await {
            Err(stop) if stop.fault() == Fault::Contended && tries < TRIES => {
                if cx.budget.is_spent() {
                    return Ok(Finish::WorkLeft);
                }
                tries += 1;
            }
            Err(stop) if is_about_rows(&stop) => break,
            done => return done.map(|()| Finish::Done),
        }
    }
    for one in page {
        if cx.budget.is_spent() {
            return Ok(Finish::WorkLeft);
        }
        match commit(cx, std::slice::from_ref(one), results).await {
            Err(stop) if is_about_rows(&stop) => results.refused(one.member.id, &stop),
            done => done?,
        }
    }
    Ok(Finish::Done)
}

/// One transaction for all of `page`; `results` count it once it is kept.
async fn commit(cx: &Cx, page: &[Judged], results: &mut Results) -> Result<(), Stop> {
    if page.is_empty() {
        return Ok(());
    }
    let mut batch = cx.fence.batch().await?;
    match scores::write(cx, &mut batch, page).await {
        Ok(written) => {
            let mut sum = results.clone();
            sum.add(written, cx.options.dry_run);
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

/// Whether writing the members one by one may tell the good from the bad.
fn is_about_rows(stop: &Stop) -> bool {
    matches!(stop.fault(), Fault::Data | Fault::Contended)
}
