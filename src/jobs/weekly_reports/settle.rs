//! Commits reports: a batch of gyms in one transaction, and fewer at once
//! where that is too many.
//!
//! Owns how many gyms are handed to the retry ladder at once
//! ([`crate::engine::batch`]). A gym whose row is refused, or whose figures
//! take too long to count, delays no other.

use uuid::Uuid;

use super::candidates::{Candidate, Cursor};
use super::{Results, queries, save};
use crate::engine::batch::{BatchWork, commit_in_parts};
use crate::engine::results::name;
use crate::engine::{Batch, Completion, JobContext, JobError};
use crate::reports::report::Report;

/// Kiosks whose heartbeats are read at once: a week of one takes five
/// milliseconds from memory and more than fifty from a slow disk, and a
/// statement may take twenty seconds.
const KIOSKS: i64 = 100;

/// Commits the reports of `candidates`, part by part.
///
/// # Errors
/// When the lease is lost, or the database cannot be reached.
pub(super) async fn settle(
    ctx: &JobContext,
    candidates: &[Candidate],
    cursor: &mut Cursor,
    results: &mut Results,
) -> Result<Completion, JobError> {
    for part in parts(candidates) {
        if ctx.budget.is_spent()
            || commit_in_parts(ctx, cursor, part, results).await? == Completion::WorkLeft
        {
            cursor.interrupted();
            return Ok(Completion::WorkLeft);
        }
    }
    Ok(Completion::Done)
}

/// Gyms in their order, as many at once as have [`KIOSKS`] kiosks, or one.
fn parts(mut rest: &[Candidate]) -> Vec<&[Candidate]> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let mut kiosks = 0;
        let fits = rest.iter().take_while(|gym| {
            kiosks += gym.kiosks;
            kiosks <= KIOSKS
        });
        let (part, later) = rest.split_at(fits.count().max(1));
        parts.push(part);
        rest = later;
    }
    parts
}

impl BatchWork for Cursor {
    type Item = Candidate;
    type Results = Results;

    async fn commit(
        &self,
        ctx: &JobContext,
        gyms: &[Candidate],
        results: &mut Results,
    ) -> Result<(), JobError> {
        let reports = make(ctx, gyms).await?;
        let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
            let generated = save::save(ctx, batch, &reports).await?;
            sum.add(&reports, &generated, ctx.options.dry_run);
            Ok(())
        };
        ctx.fence.write(results, write).await
    }

    /// Counts a gym whose report could not be made; the next run tries again.
    async fn refused(
        &self,
        _: &JobContext,
        gym: &Candidate,
        error: JobError,
        results: &mut Results,
    ) -> Result<(), JobError> {
        results.total += 1;
        results.gym_failed(gym.gym_id, error.words());
        Ok(())
    }

    fn passed(&mut self, ctx: &JobContext, gyms: &[Candidate]) {
        self.pass(ctx, gyms);
    }
}

/// The reports of these gyms, with no lock held.
async fn make(ctx: &JobContext, gyms: &[Candidate]) -> Result<Vec<Report>, JobError> {
    let mut counts = queries::count(ctx, gyms).await?;
    gyms.iter()
        .map(|gym| {
            Report::of(
                gym.gym_id,
                &gym.week,
                gym.zone,
                counts.remove(&gym.gym_id).unwrap_or_default(),
            )
        })
        .collect::<Result<_, _>>()
        .map_err(|error| JobError::Failed(anyhow::Error::new(error).context("write a report")))
}

impl Results {
    fn add(&mut self, reports: &[Report], generated: &[Uuid], dry_run: bool) {
        let is_generated = |report: &&Report| generated.contains(&report.gym_id);
        let empty = reports
            .iter()
            .filter(is_generated)
            .filter(|report| report.is_empty);
        self.total += reports.len() as u64;
        self.empty += empty.count() as u64;
        self.generated += generated.len() as u64;
        self.unchanged += (reports.len() - generated.len()) as u64;
        if dry_run {
            let samples = self.samples.entry("generated").or_default();
            name(samples, generated.iter().copied());
        }
    }
}
