//! The life of one run: begin, work, settle, continue.
//!
//! Promises that a run is finished when its caller hangs up, and that what is
//! settled is durable before the caller gets an answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::batch::PartSize;
use super::begin::{self, Decision, Started};
use super::settle::{self, Settled};
use super::{
    Answer, Budget, Call, Checkpoint, Completion, Fence, JobContext, JobError, JobOutcome,
    Publisher, Registry, Run,
};
use crate::database::Pool;
use crate::resend::Resend;
use crate::signed_links::SignedLinks;
use crate::stripe::Stripe;

/// How long a run may take past its budget: for the Stripe call and the
/// batch that had begun. A run that takes longer waits for a dead connection.
pub const OVERTIME: Duration = Duration::from_secs(9);

/// How long what has begun may take once the process is asked to stop: longer
/// than a call to Stripe may, and of the ten seconds that platforms give, the
/// settlement needs some.
pub const STOP_PATIENCE: Duration = Duration::from_secs(6);

/// What it takes to run jobs; clones share everything.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The jobs it can run.
    pub jobs: Registry,
    /// The database.
    pub db: Pool,
    /// Stripe.
    pub stripe: Stripe,
    /// Resend.
    pub resend: Resend,
    /// What signs links to reports.
    pub links: Option<SignedLinks>,
    /// What publishes messages to this service, where there is a token.
    pub publisher: Option<Publisher>,
    /// The bounds of a run.
    pub settings: Settings,
    /// How many dry runs may be under way, so that there is always a connection
    /// left: each holds one and renews its lease over another.
    pub dry_runs: Arc<Semaphore>,
    /// Cancelled when the process is asked to stop.
    pub stop: CancellationToken,
    /// The runs under way.
    pub tasks: TaskTracker,
}

/// The bounds of a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// After this, nothing new begins.
    pub budget: Duration,
    /// How long a lease lasts without renewal.
    pub lease_ttl: Duration,
    /// How long a batch waits for a lock.
    pub lock_timeout: Duration,
    /// How long what has begun may take once the process is asked to stop.
    pub stop_patience: Duration,
}

impl Runner {
    /// Performs `call` in a task of its own, so that a caller that hangs up
    /// does not kill it; SIGTERM waits for such tasks.
    ///
    /// # Errors
    /// When the ledger could not be written; the run, if any, is then found
    /// abandoned by the next.
    pub async fn detached(&self, call: Call) -> Result<Answer, JobError> {
        let runner = self.clone();
        let task = async move { runner.perform(call, &progress()).await };
        self.tasks
            .spawn(task.in_current_span())
            .await
            .unwrap_or_else(|panic| Err(JobError::failed("the task of the run panicked", panic)))
    }

    /// Performs `call` here and now; `progress` shows the results so far.
    ///
    /// # Errors
    /// When the ledger could not be written.
    pub async fn perform(
        &self,
        call: Call,
        progress: &watch::Sender<Value>,
    ) -> Result<Answer, JobError> {
        // Counted from the call, not from the begin, which may have to wait.
        let budget = Budget::new(self.settings.budget, self.stop.clone());
        let latest = Instant::now() + self.settings.budget + OVERTIME;
        let _turn = self.turn(&call).await?;
        let started = match begin::begin(&self.db, &call, self.settings.lease_ttl).await? {
            Decision::Answer(answer) => return Ok(self.replayed(&call, *answer, latest).await),
            Decision::Run(started) => started,
        };
        let job = call.job.name;
        let span = tracing::info_span!("run", job, run_id = %started.lease.run_id);
        let work = async {
            match call.options.fan_out {
                Some(count) => (self.fan_out(&call, &started, count).await, Arc::default()),
                None => self.work(&call, &started, budget, progress).await,
            }
        };
        let (outcome, checkpoint): (_, Arc<Checkpoint>) = work.instrument(span).await;
        let Settled { run, unreachable } =
            settle::settle(&self.db, &call, &started.lease, &outcome, &checkpoint).await?;
        log(&run);
        let continuation = self.continue_run(&call, &run, latest).await;
        Ok(Answer::Settled {
            run,
            unreachable,
            continuation,
        })
    }

    /// Waits until a dry run may begin; a real run may at once.
    async fn turn(&self, call: &Call) -> Result<Option<OwnedSemaphorePermit>, JobError> {
        if !call.options.dry_run {
            return Ok(None);
        }
        let turn = Arc::clone(&self.dry_runs).acquire_owned();
        match tokio::time::timeout(self.settings.budget, turn).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            _ => Err(JobError::unreachable("too many dry runs are under way")),
        }
    }

    /// Lets the job work; what its batches noted counts, however it ends. Its
    /// checkpoint is where a continuation begins.
    async fn work(
        &self,
        call: &Call,
        started: &Started,
        budget: Budget,
        progress: &watch::Sender<Value>,
    ) -> (JobOutcome, Arc<Checkpoint>) {
        let checkpoint = Arc::new(Checkpoint::new(started.checkpoint.clone()));
        let dry_run = call.options.dry_run;
        let ctx = JobContext {
            db: self.db.clone(),
            now: started.now,
            options: call.options.clone(),
            budget,
            checkpoint: Arc::clone(&checkpoint),
            part_size: PartSize::default(),
            fence: Fence::new(self, &started.lease, dry_run, progress.clone()),
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
        let budget = ctx.budget.clone();
        let mut task = tokio::spawn(async move { run(&ctx).await }.in_current_span());
        let overtime = tokio::time::sleep(self.settings.budget + OVERTIME);
        let end = tokio::select! {
            biased; // What is done is done, also at the last moment.
            done = &mut task => match done {
                Ok(outcome) => return outcome,
                Err(panic) => Err(JobError::failed("the job panicked", panic)),
            },
            () = budget.stop_ends(self.settings.stop_patience) => Ok(Completion::WorkLeft),
            () = overtime => {
                let why = "the job did not end in time: check that the database answers";
                Err(JobError::unreachable(why))
            }
        };
        task.abort();
        // What its batches noted is committed, and so it counts.
        let results = progress.borrow().clone();
        JobOutcome { results, end }
    }

    /// A process that was killed after it had settled a partial run may not
    /// have asked for the rest; the redelivery does.
    async fn replayed(&self, call: &Call, answer: Answer, latest: Instant) -> Answer {
        let Answer::Replayed { run, .. } = answer else {
            return answer;
        };
        let continuation = self.continue_run(call, &run, latest).await;
        Answer::Replayed { run, continuation }
    }
}

/// The results of a run that has committed nothing yet.
#[must_use]
pub fn progress() -> watch::Sender<Value> {
    watch::Sender::new(json!({}))
}

/// One event per run, with everything to find it by.
fn log(run: &Run) {
    let (job, run_id, results) = (&run.job, run.id, &run.results);
    let (status, attempt) = (run.status.name(), run.attempt);
    let (message_id, duration_ms) = (run.message_id.as_deref(), run.duration_ms);
    if let Some(error) = &run.error {
        tracing::error!(job, %run_id, message_id, attempt, status, duration_ms, %results, %error, "Failed to finish the run");
    } else {
        tracing::info!(job, %run_id, message_id, attempt, status, duration_ms, %results, "Settled the run");
    }
}
