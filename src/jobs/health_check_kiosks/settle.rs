//! One transaction for a batch of gyms. While somebody else holds a row it is
//! tried again; then each gym is done on its own, so that a gym that cannot be
//! done spoils no other.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::gyms::{Columns, Gym, Watch};
use super::uptime::Measured;
use super::{Results, alerts, statuses, uptime};
use crate::database::Fault;
use crate::engine::{Batch, Completion, JobContext, JobError, context};

/// How often a batch is tried while somebody else holds one of its rows.
const TRIES: u32 = 3;

/// What is to be written about a batch of gyms.
#[derive(Debug)]
pub(super) enum Work {
    /// The statuses of their kiosks, and the alerts.
    Verdicts,
    /// What was measured of their kiosks.
    Uptime(Vec<Measured>),
}

/// Commits `work` for these gyms; a gym that cannot be done is an error of
/// the run's results. Gyms that there is no time for are left to a later run.
pub(super) async fn settle(
    ctx: &JobContext,
    gyms: &[Arc<Gym>],
    work: &Work,
    results: &mut Results,
) -> Result<Completion, JobError> {
    match commit_patiently(ctx, gyms, work, results).await {
        Err(stop) if is_about_rows(&stop) => {}
        done => return done.map(|()| Completion::Done),
    }
    for gym in gyms {
        if ctx.budget.is_spent() {
            return Ok(Completion::WorkLeft);
        }
        match commit(ctx, std::slice::from_ref(gym), work, results).await {
            Err(stop) if is_about_rows(&stop) => match work {
                Work::Verdicts => results.leave(gym, stop.to_string()),
                Work::Uptime(_) => results.error(gym, stop.to_string()),
            },
            done => done?,
        }
    }
    Ok(Completion::Done)
}

async fn commit_patiently(
    ctx: &JobContext,
    gyms: &[Arc<Gym>],
    work: &Work,
    results: &mut Results,
) -> Result<(), JobError> {
    let mut tries = 1;
    loop {
        match commit(ctx, gyms, work, results).await {
            Err(stop)
                if stop.fault() == Fault::Contended && tries < TRIES && !ctx.budget.is_spent() =>
            {
                tries += 1;
            }
            done => return done,
        }
    }
}

/// One transaction; `results` count it once it is kept.
async fn commit(
    ctx: &JobContext,
    gyms: &[Arc<Gym>],
    work: &Work,
    results: &mut Results,
) -> Result<(), JobError> {
    let mut batch = ctx.fence.batch().await?;
    let mut sum = results.clone();
    let applied = match work {
        Work::Verdicts => apply_verdicts(ctx, &mut batch, gyms, &mut sum).await,
        Work::Uptime(measured) => write_uptime(&mut batch, gyms, measured, &mut sum).await,
    };
    match applied {
        Ok(()) => {
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

async fn apply_verdicts(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    gyms: &[Arc<Gym>],
    sum: &mut Results,
) -> Result<(), JobError> {
    let columns = Columns::of(gyms);
    let turned = statuses::turn(batch.db()?, ctx, &columns)
        .await
        .map_err(context("turn statuses"))?;
    let followed = alerts::follow(batch.db()?, ctx, &columns)
        .await
        .map_err(context("write alerts"))?;
    sum.add(ctx, &turned, followed);
    for gym in gyms {
        if let Watch::Unknown(reason) = &gym.watch {
            sum.leave(gym, reason.clone());
        }
    }
    Ok(())
}

async fn write_uptime(
    batch: &mut Batch<'_>,
    gyms: &[Arc<Gym>],
    measured: &[Measured],
    sum: &mut Results,
) -> Result<(), JobError> {
    let gyms: HashSet<Uuid> = gyms.iter().map(|gym| gym.id).collect();
    let measured = || measured.iter().filter(|kiosk| gyms.contains(&kiosk.gym_id));
    let news: Vec<&Measured> = measured().filter(|kiosk| kiosk.is_news).collect();
    if !news.is_empty() {
        uptime::write(batch.db()?, &news)
            .await
            .map_err(context("write uptime"))?;
    }
    sum.measured(measured().filter_map(|kiosk| kiosk.uptime));
    Ok(())
}

/// Whether doing the gyms one by one may tell the good from the bad.
fn is_about_rows(stop: &JobError) -> bool {
    matches!(stop.fault(), Fault::Data | Fault::Contended)
}
