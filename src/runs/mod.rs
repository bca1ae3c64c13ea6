//! Runs: begin -> job -> settle.
//!
//! Owns the life of one run: the ledger ([`ledger`]), the lease ([`lease`])
//! and what a caller is told; the messages by which a run goes on
//! ([`continuation`]) or is divided ([`fan_out`]); what QStash gave up on
//! ([`failures`]); and what operators read of it ([`history`], [`standing`],
//! [`punctuality`], [`overview`]) and change ([`pause`]). Promises that a run
//! goes on when its caller hangs up, that a panic of the job is settled like
//! any failure, and that what is settled is durable before anybody hears of
//! it. Knows no HTTP.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use crate::database::{self, TxLimits, Unnamed};
use crate::jobs::weekly_reports::links::Links;
use crate::jobs::{Budget, Finish, Job, Options, Place, Stop, during};
use crate::resend::Resend;
use crate::stripe::Stripe;

mod begin;
pub mod checkup;
mod continuation;
pub mod failures;
mod fan_out;
pub mod history;
mod lease;
mod ledger;
pub mod overview;
pub mod pause;
mod publisher;
pub mod punctuality;
mod readiness;
mod record;
mod reports;
mod settle;
pub mod standing;
mod totals;
mod work;

pub use continuation::{Continuation, MOST_LINKS, WhyNot};
pub use publisher::Publisher;
pub use readiness::Readiness;
pub use record::{Record, Status};
pub use totals::Totals;

use begin::Begun;

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
    /// What publishes messages to this service, where there is a token.
    pub publisher: Option<Publisher>,
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
    /// How long a batch waits for a lock.
    pub lock_timeout: Duration,
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
        /// Whether the rest of a partial run was asked for.
        continuation: Option<Continuation>,
    },
    /// It had been settled before; nothing ran.
    Replayed {
        /// The run.
        record: Record,
        /// Whether the rest of a partial run was asked for, then or now.
        continuation: Option<Continuation>,
    },
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
        let latest = Instant::now() + self.settings.budget + OVERTIME;
        let started = match begin::begin(&self.db, &call, self.settings.lease_ttl).await? {
            Begun::Answered(answer) => return Ok(self.replayed(&call, *answer, latest).await),
            Begun::Started(started) => started,
        };
        let job = call.job.name;
        let span = tracing::info_span!("run", job, run_id = %started.lease.run_id);
        let work = async {
            match call.options.fan_out {
                Some(count) => (self.fan_out(&call, &started, count).await, Arc::default()),
                None => self.work(&call, &started, budget, progress).await,
            }
        };
        let (ended, place): (_, Arc<Place>) = work.instrument(span).await;
        let record = settle::settle(&self.db, &call, &started.lease, &ended, &place).await?;
        log(&record, &ended.end);
        let unreachable = matches!(ended.end, Err(Stop::Unreachable(_)));
        let continuation = self.go_on(&call, &record, latest).await;
        Ok(Answer::Settled {
            record,
            unreachable,
            continuation,
        })
    }

    /// A process that was killed after it had settled a partial run may not
    /// have asked for the rest; the redelivery does.
    async fn replayed(&self, call: &Call, answer: Answer, latest: Instant) -> Answer {
        let Answer::Replayed { record, .. } = answer else {
            return answer;
        };
        let continuation = self.go_on(call, &record, latest).await;
        Answer::Replayed {
            record,
            continuation,
        }
    }

    /// The moment it is, on the database's clock.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn now(&self) -> Result<DateTime<Utc>, Stop> {
        let mut tx = database::begin(&self.db, TxLimits::READ)
            .await
            .map_err(during("begin to read"))?;
        sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
            .fetch_one(Unnamed(&mut tx))
            .await
            .map_err(during("read the clock"))
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
