//! The work of a run: its job, in a task of its own, for as long as it may
//! take.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use tracing::Instrument;

use super::begin::Started;
use super::{Budget, Call, Checkpoint, Fence, JobContext, JobError, JobOutcome, OVERTIME, Runner};

impl Runner {
    /// Lets the job work; what its batches noted counts, however it ends. Its
    /// checkpoint is where a continuation begins.
    pub(super) async fn work(
        &self,
        call: &Call,
        started: &Started,
        budget: Budget,
        progress: &watch::Sender<Value>,
    ) -> (JobOutcome, Arc<Checkpoint>) {
        let checkpoint = Arc::new(Checkpoint::new(started.checkpoint.clone()));
        let fence = Fence::new(
            self.db.clone(),
            started.lease.clone(),
            call.options.dry_run,
            progress.clone(),
        );
        let ctx = JobContext {
            db: self.db.clone(),
            now: started.now,
            options: call.options.clone(),
            budget,
            checkpoint: Arc::clone(&checkpoint),
            fence,
            stripe: self.stripe.clone(),
            resend: self.resend.clone(),
            links: self.links.clone(),
        };
        (self.run_job(call, ctx, progress).await, checkpoint)
    }

    async fn run_job(
        &self,
        call: &Call,
        ctx: JobContext,
        progress: &watch::Sender<Value>,
    ) -> JobOutcome {
        let run = call.job.run;
        let mut task = tokio::spawn(async move { run(&ctx).await }.in_current_span());
        // What its batches noted is committed, and so it counts.
        let stopped = |error| JobOutcome {
            results: progress.borrow().clone(),
            end: Err(error),
        };
        let overtime = self.settings.budget + OVERTIME;
        match tokio::time::timeout(overtime, &mut task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => stopped(JobError::Failed(
                anyhow::Error::new(panic).context("the job panicked"),
            )),
            Err(_) => {
                task.abort();
                let error = "the job did not end in time: check that the database answers";
                stopped(JobError::Unreachable(anyhow::anyhow!(error)))
            }
        }
    }
}
