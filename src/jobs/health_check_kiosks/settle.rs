//! One transaction for a batch of gyms: the statuses of their kiosks and the
//! alerts, or the uptime that was measured before, with no lock held.

use std::sync::Arc;

use super::gyms::{Columns, Gym, Watch};
use super::verdict::Held;
use super::{Checkpoint, Phase, Results, alerts, maintenance, statuses, uptime};
use crate::engine::batch::BatchWork;
use crate::engine::{Batch, JobContext, JobError, context};

/// What is done about a batch of gyms.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) phase: Phase,
    pub(super) held: Option<Held>,
    pub(super) checkpoint: Checkpoint,
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
        if self.phase == Phase::Judge {
            let columns = Columns::of(gyms, self.held);
            let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
                apply_verdicts(ctx, batch, gyms, &columns, sum).await
            };
            return ctx.fence.write(results, write).await;
        }
        let measuring = uptime::measure(ctx, gyms);
        let measured = ctx.fence.with_heartbeat(measuring).await??;
        if ctx.options.dry_run {
            ctx.fence.renew().await?;
            results.measured(&measured);
            return Ok(());
        }
        let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
            uptime::write(batch, &measured).await?;
            sum.measured(&measured);
            Ok(())
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
        match self.phase {
            Phase::Judge => results.leave(gym, error.to_string()),
            Phase::Measure => results.error(gym, error.to_string()),
        }
        Ok(())
    }

    fn passed(&mut self, ctx: &JobContext, gyms: &[Arc<Gym>]) {
        self.checkpoint.pass(ctx, gyms);
    }
}

async fn apply_verdicts(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    gyms: &[Arc<Gym>],
    columns: &Columns,
    sum: &mut Results,
) -> Result<(), JobError> {
    maintenance::record(batch, ctx, &columns.ids).await?;
    let turned = statuses::turn(batch.db()?, ctx, columns)
        .await
        .map_err(context("turn statuses"))?;
    let counted = alerts::follow(batch.db()?, ctx, columns)
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
