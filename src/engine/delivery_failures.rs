//! The messages that QStash has given up on, and the alert that is open until
//! the schedule succeeds again.
//!
//! Owns `delivery_failures` and the alerts of kind `schedule_failing`.
//! Promises that a message counts once however often QStash reports it; that
//! the first success of the same schedule resolves the alert, in the
//! transaction that settles it; and that a message reported after such a
//! success opens none. A callback and a settlement of one job are decided one
//! after the other.
//!
//! A success resolves the failures in its scope: a shard's success resolves no
//! failure of another shard of the same division, and the success of a fan-out
//! parent only failures of fan-out parents. A dry run proves nothing.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Job, JobError, Options, Runner, context};
use crate::database::{self, TxLimits, Unprepared};

mod alert;
mod attribution;
mod rows;

pub(super) use alert::resolve_after_success;

/// The kind of the alert, the first part of its key.
const KIND: &str = "schedule_failing";

/// A message that QStash has given up on, as far as it is known.
#[derive(Debug, Clone)]
pub struct FailedMessage {
    /// Its id, the same over all its deliveries.
    pub message_id: String,
    /// The job it was for.
    pub job: &'static Job,
    /// The schedule it came from; a continuation comes from none.
    pub schedule_id: Option<String>,
    /// What it asked of the job, where that can be read.
    pub options: Option<Options>,
    /// The HTTP status of the last answer.
    pub status: Option<i32>,
    /// Deliveries after the first.
    pub retried: Option<i32>,
    /// The most there could have been.
    pub max_retries: Option<i32>,
    /// Its place among QStash's dead letters.
    pub dlq_id: Option<String>,
    /// The address that was called. Holds no secret.
    pub url: Option<String>,
    /// The beginning of the last answer. Holds no secret.
    pub response: Option<String>,
    /// When it was to be delivered first, on QStash's clock.
    pub due_at: Option<DateTime<Utc>>,
}

/// What came of a failed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// An alert was opened.
    Created,
    /// The alert was open; this is one more message.
    Repeated,
    /// The schedule has succeeded since: no alert.
    AlreadyRecovered,
    /// It was a dry run: no alert.
    DryRun,
    /// It was recorded before.
    Duplicate,
}

impl Runner {
    /// Records a failed message, and opens the alert or counts it there;
    /// answers what came of it, and the schedule that the alert is about.
    ///
    /// # Errors
    /// When the database cannot be written; the same call may come again.
    pub async fn record_failure(
        &self,
        failed: &FailedMessage,
    ) -> Result<(Recorded, String), JobError> {
        let recorded = async {
            let mut tx = database::begin(&self.db, TxLimits::CONTROL).await?;
            let recorded = record(&mut tx, failed).await?;
            tx.commit().await?;
            Ok(recorded)
        };
        recorded.await.map_err(context("record a failed message"))
    }
}

async fn record(db: &mut PgConnection, failed: &FailedMessage) -> sqlx::Result<(Recorded, String)> {
    lock(Unprepared(db), failed.job).await?;
    let schedule = failed.counts_for(Unprepared(db)).await?;
    let recorded = match rows::insert(Unprepared(db), failed, &schedule).await? {
        None => return Ok((Recorded::Duplicate, schedule)),
        Some(row) if row.has_recovered => Recorded::AlreadyRecovered,
        Some(_) if failed.scope().dry_run => Recorded::DryRun,
        Some(row) => alert::open(Unprepared(db), failed, &schedule, row.received_at).await?,
    };
    rows::log(Unprepared(db), failed, &schedule, recorded).await?;
    Ok((recorded, schedule))
}

impl Recorded {
    /// The word for it in answers and logs, as it was published first.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "opened",
            Self::Repeated => "bumped",
            Self::AlreadyRecovered => "mended",
            Self::DryRun => "rehearsed",
            Self::Duplicate => "known",
        }
    }
}

impl FailedMessage {
    /// The schedule that the alert of this message is about.
    async fn counts_for(&self, db: Unprepared<'_>) -> sqlx::Result<String> {
        let continues = self.options.as_ref().and_then(|it| it.continuation_of);
        let schedule_id = self.schedule_id.as_deref();
        let attribution = attribution::of(db, self.job, schedule_id, continues).await?;
        Ok(attribution.schedule_id)
    }

    fn scope(&self) -> Scope {
        Scope::of(self.options.as_ref().unwrap_or(&Options::default()))
    }

    fn title(&self) -> String {
        format!("QStash has given up on {}", self.job.name)
    }

    /// What was answered in the end, for people.
    fn in_words(&self) -> String {
        let attempts = self.retried.map_or_else(
            || "all attempts".to_owned(),
            |retried| format!("{} attempts", retried + 1),
        );
        let answer = self
            .status
            .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        format!("{} after {attempts} ({answer})", self.title())
    }
}

/// Which part of a job a message is about.
struct Scope {
    shard: i32,
    shards: i32,
    is_fan_out: bool,
    dry_run: bool,
}

impl Scope {
    fn of(options: &Options) -> Self {
        let (shard, shards) = options.shard_of();
        Self {
            shard,
            shards,
            is_fan_out: options.fan_out.is_some(),
            dry_run: options.dry_run,
        }
    }
}

/// Lets no other transaction decide about this job's failures until this one
/// ends: neither would see what the other is about to commit.
async fn lock(db: Unprepared<'_>, job: &Job) -> sqlx::Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended($1 || ':' || $2, 0))",
        KIND,
        job.name,
    )
    .execute(db)
    .await?;
    Ok(())
}
