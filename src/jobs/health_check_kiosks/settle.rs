//! One transaction for a batch of gyms: the statuses of their kiosks and the
//! alerts, or the uptime that was measured.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::gyms::{Columns, Gym, Watch};
use super::uptime::Measured;
use super::{Results, alerts, statuses, uptime};
use crate::engine::batch::BatchWork;
use crate::engine::{Batch, JobContext, JobError, context};

/// What is to be written about a batch of gyms.
#[derive(Debug)]
pub(super) enum Work {
    /// The statuses of their kiosks, and the alerts.
    Verdicts,
    /// What was measured of their kiosks.
    Uptime(Vec<Measured>),
}

impl BatchWork for Work {
    type Item = Arc<Gym>;
    type Results = Results;

    async fn commit(
        &self,
        ctx: &JobContext,
        gyms: &[Arc<Gym>],
        results: &mut Results,
    ) -> Result<(), JobError> {
        let write = async |batch: &mut Batch<'_>, sum: &mut Results| match self {
            Self::Verdicts => apply_verdicts(ctx, batch, gyms, sum).await,
            Self::Uptime(measured) => write_uptime(batch, gyms, measured, sum).await,
        };
        ctx.fence.write(results, write).await
    }

    async fn refused(
        &self,
        _: &JobContext,
        gym: &Arc<Gym>,
        error: JobError,
        results: &mut Results,
    ) -> Result<(), JobError> {
        match self {
            Self::Verdicts => results.leave(gym, error.to_string()),
            Self::Uptime(_) => results.error(gym, error.to_string()),
        }
        Ok(())
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
    let counted = alerts::follow(batch.db()?, ctx, &columns)
        .await
        .map_err(context("write alerts"))?;
    sum.add(ctx, &turned, &counted);
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
    let news: Vec<&Measured> = measured().filter(|kiosk| kiosk.is_news()).collect();
    if !news.is_empty() {
        uptime::write(batch.db()?, &news)
            .await
            .map_err(context("write uptime"))?;
    }
    sum.measured(measured().filter_map(Measured::uptime));
    Ok(())
}
