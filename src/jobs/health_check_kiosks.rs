//! Finds kiosks that are down, and keeps one alert for each while they are.
//!
//! - What: gives every watched kiosk the status that its silence deserves,
//!   counted in its gym's opening hours; opens, bumps, escalates and resolves
//!   alerts; measures uptime.
//! - Which rows: kiosks that are online, degraded or offline, or whose
//!   maintenance is over, in gyms that are not suspended or cancelled; by
//!   keyset over the gyms.
//! - Twice is harmless: a status is written where it differs, an alert is
//!   bumped once an hour, and uptime ends at the full hour.
//! - When: every night.
//!
//! First the whole fleet is looked at. When most of it fell silent at once,
//! that is said, and nothing else is changed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Cx, Finish, Job, Stop, Worked, report};

mod alerts;
mod fleet;
mod follow;
mod gyms;
pub mod opening_hours;
mod results;
mod settle;
mod statuses;
mod uptime;
mod verdict;

pub use results::{GymError, Results};

use gyms::{Gym, Gyms, Walk};
use settle::{Work, settle};

/// The job, as [`super::ALL`] lists it.
pub const JOB: Job = Job {
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
    run: |cx| report(run(cx)),
};

/// Kiosks per transaction.
const BATCH: u32 = 5_000;
/// Kiosks that are measured at once: each may have sent thousands of
/// heartbeats in a day.
const MEASURED_AT_ONCE: u32 = 1_000;
/// Samples per action in a dry run.
const SAMPLES: i32 = 50;
/// Errors per run.
const ERRORS: usize = 50;

/// Runs the job.
pub async fn run(cx: &Cx) -> Worked<Results> {
    let mut results = Results::default();
    let end = work(cx, &mut results).await;
    Worked { results, end }
}

/// A dry run measures first: its one transaction keeps every lock to the end.
async fn work(cx: &Cx, results: &mut Results) -> Result<Finish, Stop> {
    let mut gyms = Gyms::default();
    if cx.options.gym_id.is_none() {
        let survey = fleet::survey(cx, &mut gyms);
        let Some(fleet) = cx.fence.beating(survey).await?? else {
            return Ok(Finish::WorkLeft);
        };
        if fleet.is_silent() {
            fleet::alarm(cx, &fleet, results).await?;
            return Ok(Finish::Done);
        }
        fleet::calm(cx, &fleet, results).await?;
    }
    let stood: Stood = cx.place.from().unwrap_or_default();
    if stood.is_judged {
        return measure(cx, &mut gyms, results, stood).await;
    }
    let measures_first = cx.options.dry_run;
    if measures_first && measure(cx, &mut gyms, results, stood).await? == Finish::WorkLeft {
        return Ok(Finish::WorkLeft);
    }
    let judged = judge(cx, &mut gyms, results, stood).await?;
    if measures_first || judged == Finish::WorkLeft {
        return Ok(judged);
    }
    let judged = Stood {
        is_judged: true,
        after: None,
    };
    cx.place.leave(&judged);
    measure(cx, &mut gyms, results, judged).await
}

/// Where a run stood. What was judged or measured looks the same when it is
/// again, so a continuation must not begin at the first gym.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Stood {
    /// Every gym is judged; `after` is about measuring.
    is_judged: bool,
    after: Option<Uuid>,
}

impl Stood {
    /// Notes that the walk has come past these gyms.
    fn pass(self, cx: &Cx, gyms: &[Arc<Gym>]) {
        let after = gyms.last().map(|gym| gym.id);
        cx.place.leave(&Self { after, ..self });
    }
}

/// Statuses and alerts, batch by batch.
async fn judge(
    cx: &Cx,
    gyms: &mut Gyms,
    results: &mut Results,
    stood: Stood,
) -> Result<Finish, Stop> {
    let mut walk = Walk::after(stood.after);
    let size = cx.options.batch_size_or(BATCH);
    while !cx.budget.is_spent() {
        let batch = gyms.next(&mut walk, cx, size).await?;
        if batch.is_empty() {
            return Ok(Finish::Done);
        }
        if settle(cx, &batch, &Work::Verdicts, results).await? == Finish::WorkLeft {
            break;
        }
        stood.pass(cx, &batch);
    }
    Ok(Finish::WorkLeft)
}

/// Uptime, batch by batch; a dry run writes none of it.
async fn measure(
    cx: &Cx,
    gyms: &mut Gyms,
    results: &mut Results,
    stood: Stood,
) -> Result<Finish, Stop> {
    let mut walk = Walk::after(stood.after.filter(|_| stood.is_judged));
    let size = cx.options.batch_size_or(MEASURED_AT_ONCE);
    while !cx.budget.is_spent() {
        let batch = gyms.next(&mut walk, cx, size).await?;
        if batch.is_empty() {
            return Ok(Finish::Done);
        }
        let measured = cx.fence.beating(uptime::measure(cx, &batch)).await??;
        if cx.options.dry_run {
            cx.fence.renew().await?;
            results.measured(measured.iter().filter_map(|kiosk| kiosk.uptime));
            continue;
        }
        let uptime = Work::Uptime(measured);
        if settle(cx, &batch, &uptime, results).await? == Finish::WorkLeft {
            break;
        }
        stood.pass(cx, &batch);
    }
    Ok(Finish::WorkLeft)
}
