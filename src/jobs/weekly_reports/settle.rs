//! Commits reports: a batch of gyms in one transaction, and fewer at once
//! where that is too many.
//!
//! A gym that spoils its batch spoils no other, and one whose figures take
//! too long to count holds up no other.

use uuid::Uuid;

use super::candidates::{Cursor, Due};
use super::{Failed, Results, SAMPLES, queries, save};
use crate::database::Fault;
use crate::engine::{Completion, JobContext, JobError};
use crate::reports::report::Report;

/// How often a batch is tried while somebody else holds one of its rows.
const TRIES: u32 = 3;
/// Kiosks whose heartbeats are read at once: a week of one takes five
/// milliseconds from memory and more than fifty from a slow disk, and a
/// statement may take twenty seconds.
const KIOSKS: i64 = 100;

/// Commits the reports of `due`. When the database refuses because of one
/// row, each gym is done on its own; when it takes too long, each half.
pub(super) async fn settle(
    ctx: &JobContext,
    due: &[Due],
    cursor: &mut Cursor,
    results: &mut Results,
) -> Result<Completion, JobError> {
    let mut waiting = parts(due);
    waiting.reverse();
    while let Some(part) = waiting.pop() {
        if ctx.budget.is_spent() {
            cursor.interrupted();
            return Ok(Completion::WorkLeft);
        }
        let tries = if part.len() == due.len() { TRIES } else { 1 };
        match commit_patiently(ctx, part, tries, results).await {
            Err(stop) if part.len() > 1 && stop.took_too_long() => {
                let (first, second) = part.split_at(part.len() / 2);
                waiting.extend([second, first]);
                continue;
            }
            Err(stop) if part.len() > 1 && stop.is_about_rows() => {
                waiting.extend(part.chunks(1).rev());
                continue;
            }
            Err(stop) if stop.took_too_long() || stop.is_about_rows() => {
                results.refused(part, &stop);
            }
            done => done?,
        }
        cursor.pass(ctx, part);
    }
    Ok(Completion::Done)
}

/// Gyms in their order, so many at once as have [`KIOSKS`] kiosks, or one.
fn parts(due: &[Due]) -> Vec<&[Due]> {
    let mut parts = Vec::new();
    let mut rest = due;
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

/// Tries again while somebody else holds a row.
async fn commit_patiently(
    ctx: &JobContext,
    due: &[Due],
    tries: u32,
    results: &mut Results,
) -> Result<(), JobError> {
    let mut left = tries;
    loop {
        match commit(ctx, due, results).await {
            Err(stop) if stop.fault() == Fault::Contended && left > 1 && !ctx.budget.is_spent() => {
                left -= 1;
            }
            done => return done,
        }
    }
}

/// One transaction for all of `due`; `results` count it once it is kept.
async fn commit(ctx: &JobContext, due: &[Due], results: &mut Results) -> Result<(), JobError> {
    let reports = make(ctx, due).await?;
    let mut batch = ctx.fence.batch().await?;
    match save::save(ctx, &mut batch, &reports).await {
        Ok(generated) => {
            let mut sum = results.clone();
            sum.add(&reports, &generated, ctx.options.dry_run);
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

/// The reports of these gyms, with no lock held.
async fn make(ctx: &JobContext, due: &[Due]) -> Result<Vec<Report>, JobError> {
    let mut counts = queries::count(ctx, due).await?;
    due.iter()
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
    /// Counts gyms whose report could not be made; the next run tries again.
    fn refused(&mut self, due: &[Due], stop: &JobError) {
        for gym in due {
            self.errors += 1;
            self.note(Failed {
                gym_id: Some(gym.gym_id),
                report_id: None,
                error: stop.to_string(),
            });
        }
    }

    fn add(&mut self, reports: &[Report], generated: &[Uuid], dry_run: bool) {
        let is_generated = |report: &&Report| generated.contains(&report.gym_id);
        let empty = reports
            .iter()
            .filter(is_generated)
            .filter(|report| report.is_empty);
        self.empty += empty.count() as u64;
        self.generated += generated.len() as u64;
        self.unchanged += (reports.len() - generated.len()) as u64;
        if dry_run {
            let samples = self.samples.entry("generated").or_default();
            let room = SAMPLES.saturating_sub(samples.len());
            samples.extend(generated.iter().take(room));
        }
    }
}
