//! The work of a run: its job, in a task of its own, for as long as it may
//! take.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use tracing::Instrument;

use super::begin::Started;
use super::{Call, OVERTIME, Runner};
use crate::jobs::{Budget, Cx, Ended, Fence, Place, Stop};

impl Runner {
    /// Lets the job work; what its batches noted counts, however it ends. Its
    /// place is where a continuation begins.
    pub(super) async fn work(
        &self,
        call: &Call,
        started: &Started,
        budget: Budget,
        progress: &watch::Sender<Value>,
    ) -> (Ended, Arc<Place>) {
        let place = Arc::new(Place::new(started.place.clone()));
        let fence = Fence::new(
            self.db.clone(),
            started.lease.clone(),
            self.settings.lock_timeout,
            call.options.dry_run,
            progress.clone(),
        );
        let cx = Cx {
            db: self.db.clone(),
            now: started.now,
            options: call.options.clone(),
            budget,
            place: Arc::clone(&place),
            fence,
            stripe: self.stripe.clone(),
            resend: self.resend.clone(),
            links: self.links.clone(),
        };
        (self.run_job(call, cx, progress).await, place)
    }

    async fn run_job(&self, call: &Call, cx: Cx, progress: &watch::Sender<Value>) -> Ended {
        let run = call.job.run;
        let mut task = tokio::spawn(async move { run(&cx).await }.in_current_span());
        // What its batches noted is committed, and so it counts.
        let broken_off = |stop| Ended {
            results: progress.borrow().clone(),
            end: Err(stop),
        };
        let overtime = self.settings.budget + OVERTIME;
        match tokio::time::timeout(overtime, &mut task).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(panic)) => broken_off(Stop::Failed(
                anyhow::Error::new(panic).context("the job panicked"),
            )),
            Err(_) => {
                task.abort();
                let stuck = "the job did not end in time: does the database still answer?";
                broken_off(Stop::Unreachable(anyhow::anyhow!(stuck)))
            }
        }
    }
}
