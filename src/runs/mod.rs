//! Runs: begin -> job -> settle.
//!
//! Owns the life of one run: the ledger ([`ledger`]), the lease ([`lease`])
//! and what a caller is told; what operators read of it ([`history`],
//! [`standing`]), and what QStash gave up on ([`failures`]). Promises that a run goes on when its caller
//! hangs up, that a panic of the job is settled like any failure, and that
//! what is settled is durable before anybody hears of it. Knows no HTTP.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use crate::database::{self, Bounds, Unnamed};
use crate::jobs::weekly_reports::links::Links;
use crate::jobs::{Budget, Cx, Ended, Fence, Finish, Job, Options, Stop, during};
use crate::resend::Resend;
use crate::stripe::Stripe;

mod begin;
pub mod checkup;
pub mod failures;
pub mod history;
mod lease;
mod ledger;
mod readiness;
mod record;
mod reports;
mod settle;
pub mod standing;
mod totals;

pub use readiness::Readiness;
pub use record::{Record, Status};
pub use totals::Totals;

use begin::{Begun, Started};

/// How long a run may go on past its budget: for the Stripe call and the
/// batch that had begun. A run that takes longer waits for a dead connection.
pub const OVERTIME: Duration = Duration::from_secs(9);

/// What it takes to run jobs; clones share everything.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The database.
    pub db: PgPool,
    /// Stripe.
    pub stripe: Stripe,
    /// Resend.
    pub resend: Resend,
    /// What signs links to reports.
    pub links: Option<Links>,
    /// The bounds of a run.
    pub settings: Settings,
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
}

/// Who asks for a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The scheduler, with both its credentials.
    Qstash,
    /// A person with the operator's secret.
    Operator,
    /// A person at the command line.
    #[default]
    Cli,
}

/// The caller, as the ledger remembers it.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Which way the call came.
    pub trigger: Trigger,
    /// Who, as they say.
    pub actor: Option<String>,
    /// Why, as they say.
    pub reason: Option<String>,
    /// QStash's message id: the same over all its retries.
    pub message_id: Option<String>,
    /// The schedule the message came from.
    pub schedule_id: Option<String>,
    /// The id of the token, spent by its first run.
    pub jti: Option<String>,
}

/// A call for a run.
#[derive(Debug, Clone)]
pub struct Call {
    /// The job.
    pub job: &'static Job,
    /// What is asked of it.
    pub options: Options,
    /// By whom.
    pub caller: Caller,
}

/// What became of a call.
#[derive(Debug)]
pub enum Answer {
    /// It ran, or was skipped; this is how it stands in the ledger.
    Settled {
        /// The run.
        record: Record,
        /// Whether the database or Stripe was away, so that a later try may pass.
        unreachable: bool,
    },
    /// It had been settled before; nothing ran.
    Replayed(Record),
    /// The same delivery is being worked on right now.
    StillRunning(Record),
    /// It asks for a moment that has not come.
    FutureMoment,
}

impl Runner {
    /// Performs `call` in a task of its own, so that a caller that hangs up
    /// does not kill it; SIGTERM waits for such tasks.
    ///
    /// # Errors
    /// When the ledger could not be written; the run, if any, is then found
    /// abandoned by the next.
    pub async fn detached(&self, call: Call) -> Result<Answer, Stop> {
        let runner = self.clone();
        let task = async move { runner.perform(call, &watch::Sender::default()).await };
        self.tasks
            .spawn(task.in_current_span())
            .await
            .unwrap_or_else(|error| {
                Err(Stop::Failed(
                    anyhow::Error::new(error).context("the run's task broke off"),
                ))
            })
    }

    /// Performs `call` here and now; `progress` shows the results so far.
    ///
    /// # Errors
    /// When the ledger could not be written.
    pub async fn perform(
        &self,
        call: Call,
        progress: &watch::Sender<Value>,
    ) -> Result<Answer, Stop> {
        // Counted from the call, not from the begin, which may have to wait.
        let budget = Budget::new(self.settings.budget, self.stop.clone());
        let started = match begin::begin(&self.db, &call, self.settings.lease_ttl).await? {
            Begun::Answered(answer) => return Ok(*answer),
            Begun::Started(started) => started,
        };
        let job = call.job.name;
        let span = tracing::info_span!("run", job, run_id = %started.lease.run_id);
        let ended = self
            .work(&call, &started, budget, progress)
            .instrument(span)
            .await;
        let record = settle::settle(&self.db, &call, &started.lease, &ended).await?;
        log(&record, &ended.end);
        let unreachable = matches!(ended.end, Err(Stop::Unreachable(_)));
        Ok(Answer::Settled {
            record,
            unreachable,
        })
    }

    /// The moment it is, on the database's clock.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn now(&self) -> Result<DateTime<Utc>, Stop> {
        let mut tx = database::begin(&self.db, Bounds::READ)
            .await
            .map_err(during("begin to read"))?;
        sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
            .fetch_one(Unnamed(&mut tx))
            .await
            .map_err(during("read the clock"))
    }

    async fn work(
        &self,
        call: &Call,
        started: &Started,
        budget: Budget,
        progress: &watch::Sender<Value>,
    ) -> Ended {
        let lease = started.lease.clone();
        let cx = Cx {
            db: self.db.clone(),
            now: started.now,
            options: call.options.clone(),
            budget,
            fence: Fence::new(
                self.db.clone(),
                lease,
                call.options.dry_run,
                progress.clone(),
            ),
            stripe: self.stripe.clone(),
            resend: self.resend.clone(),
            links: self.links.clone(),
        };
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

/// One event per run, with everything to find it by.
fn log(record: &Record, end: &Result<Finish, Stop>) {
    let (job, run_id, results) = (&record.job, record.run_id, &record.results);
    let (status, attempt) = (record.status.name(), record.attempt);
    let (message_id, duration_ms) = (record.message_id.as_deref(), record.duration_ms());
    if let Err(error) = end {
        tracing::error!(job, %run_id, message_id, attempt, status, duration_ms, %results, %error, "run stopped");
    } else {
        tracing::info!(job, %run_id, message_id, attempt, status, duration_ms, %results, "run settled");
    }
}

impl Trigger {
    /// The word in `job_runs.trigger`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qstash => "qstash",
            Self::Operator => "operator",
            Self::Cli => "cli",
        }
    }
}

/// A new id for a run; ids sort by the time they were made.
fn new_id() -> Uuid {
    Uuid::now_v7()
}
