//! Finds kiosks that are down, and keeps one alert for each while they are.
//!
//! - What: gives every watched kiosk the status that its silence deserves,
//!   counted in its gym's opening hours; opens, repeats, escalates and resolves
//!   alerts; measures uptime.
//! - Which rows: kiosks that are online, degraded or offline, or whose
//!   maintenance is over, in gyms that are not suspended or cancelled; by
//!   keyset over the gyms.
//! - Twice is harmless: a status is written where it differs, an alert is
//!   repeated once an hour, and uptime ends at the full hour.
//! - When: every night.
//!
//! First the whole fleet is looked at. When most of it fell silent at once,
//! one alert is raised, and nothing else is changed in that night; after it,
//! all but the kiosks that fell silent with the fleet are judged, and those too
//! once they are silent through three nights.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::batch::commit_in_parts;
use crate::engine::{Completion, Job, JobContext, JobError, with_json_results};

mod alerts;
mod fleet;
mod gyms;
mod maintenance;
mod results;
mod settle;
mod statuses;
mod uptime;
mod verdict;

use fleet::Guard;
use gyms::{Cursor, Gym, Gyms};
use results::Results;
use settle::Work;

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "health-check-kiosks",
    log_type: "cron_kiosk_health",
    accepts: &[
        "dry_run",
        "as_of",
        "batch_size",
        "gym_id",
        "continuation_of",
    ],
    totals: &[
        "status_changed",
        "alerts_opened",
        "alerts_resolved",
        "alerts_escalated",
    ],
    run: |ctx| with_json_results(ctx, |ctx, results| Box::pin(work(ctx, results))),
};

/// Kiosks per transaction.
const BATCH: u32 = 5_000;
/// Kiosks that are measured at once: each may have sent thousands of
/// heartbeats in a day.
const MEASURED_AT_ONCE: u32 = 1_000;

/// A dry run measures first: its one transaction keeps every lock to the end.
async fn work(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let mut gyms = Gyms::default();
    let guard = if ctx.options.gym_id.is_none() {
        fleet::guard(ctx, &mut gyms, results).await?
    } else {
        Some(Guard::NONE)
    };
    let held = match &guard {
        None => return Ok(Completion::WorkLeft),
        Some(Guard::Stop) => return Ok(Completion::Done),
        Some(Guard::Hold(held)) => Some(*held),
        Some(Guard::Pass { .. }) => None,
    };
    let mut checkpoint: Checkpoint = ctx.checkpoint.resumed().unwrap_or_default();
    let phases = if ctx.options.dry_run {
        [Phase::Measure, Phase::Judge]
    } else {
        [Phase::Judge, Phase::Measure]
    };
    for phase in phases {
        if !checkpoint.is_judged || phase == Phase::Measure {
            let work = Work {
                phase,
                held,
                checkpoint,
            };
            let completion = run_phase(ctx, work, &mut gyms, results).await?;
            if completion == Completion::WorkLeft {
                return Ok(completion);
            }
        }
        if phase == Phase::Judge {
            // Not before: judged by halves, the fleet would look silent anew.
            fleet::calm(ctx, guard.as_ref(), results).await?;
            if !ctx.options.dry_run && !checkpoint.is_judged {
                checkpoint = Checkpoint::JUDGED;
                ctx.checkpoint.save(&checkpoint);
            }
        }
    }
    Ok(Completion::Done)
}

/// What is done about all gyms before the next is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Statuses and alerts.
    Judge,
    /// Uptime; a dry run writes none of it.
    Measure,
}

/// Where a run stopped. What was judged or measured looks the same when it is
/// again, so a continuation must not begin at the first gym.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// Every gym is judged; `after` is about measuring.
    is_judged: bool,
    after: Option<Uuid>,
}

impl Checkpoint {
    /// Measuring begins.
    const JUDGED: Self = Self {
        is_judged: true,
        after: None,
    };

    /// Saves that these gyms are passed.
    fn pass(self, ctx: &JobContext, gyms: &[Arc<Gym>]) {
        let after = gyms.last().map(|gym| gym.id);
        ctx.checkpoint.save(&Self { after, ..self });
    }
}

/// One phase, batch by batch.
async fn run_phase(
    ctx: &JobContext,
    mut work: Work,
    gyms: &mut Gyms,
    results: &mut Results,
) -> Result<Completion, JobError> {
    let (size, is_resumed) = match work.phase {
        Phase::Judge => (BATCH, true),
        Phase::Measure => (MEASURED_AT_ONCE, work.checkpoint.is_judged),
    };
    let size = ctx.options.batch_size_or(size);
    let mut cursor = Cursor::after(work.checkpoint.after.filter(|_| is_resumed));
    while !ctx.budget.is_spent() {
        let batch = gyms.next(&mut cursor, ctx, size).await?;
        if batch.is_empty() {
            return Ok(Completion::Done);
        }
        if commit_in_parts(ctx, &mut work, &batch, results).await? == Completion::WorkLeft {
            break;
        }
    }
    Ok(Completion::WorkLeft)
}
