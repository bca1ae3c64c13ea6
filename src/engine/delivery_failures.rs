//! What QStash has given up on, and the alert that stands until it works again.
//!
//! Owns `delivery_failures` and the alerts of kind `schedule_failing`.
//! Promises that a message counts once however often it is told of; that the
//! first success of the same schedule ends the alert, in the transaction that
//! settles it; and that a message told of after such a success opens none.
//! A callback and a settlement of one job are decided one after the other.
//!
//! A success mends what it covers: that of a shard not the failure of another
//! shard of the same division, and that of a run which only hands out shards
//! nothing but another such run's. A dry run, failing or not, proves nothing.

use chrono::{DateTime, Utc};

use super::Runner;
use crate::database::{self, TxLimits, Unprepared};
use crate::engine::{Job, JobError, Options, context};

mod alert;
mod attribution;
mod rows;

pub(super) use alert::mend;

/// The kind of the alert, the first part of its key.
const KIND: &str = "schedule_failing";

/// A message that QStash has given up on, as far as it is known.
#[derive(Debug, Clone)]
pub struct Failed {
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

/// What a failed message meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// An alert was opened.
    Opened,
    /// The alert was open; this is one more message.
    Bumped,
    /// It has worked since; nobody need be told.
    Mended,
    /// It only rehearsed; nobody need be told.
    Rehearsed,
    /// It was known.
    Known,
}

impl Runner {
    /// Writes down a failed message, and opens or bumps the alert; answers
    /// what came of it, and the schedule whose alert that is.
    ///
    /// # Errors
    /// When the database cannot be written; the same call may come again.
    pub async fn note_failure(&self, failed: &Failed) -> Result<(Noted, String), JobError> {
        let noting = || context("note a failed message");
        let mut tx = database::begin(&self.db, TxLimits::CONTROL)
            .await
            .map_err(noting())?;
        let noted = async {
            one_after_the_other(Unprepared(&mut tx), failed.job).await?;
            let schedule = failed.counts_for(Unprepared(&mut tx)).await?;
            let noted = match rows::insert(Unprepared(&mut tx), failed, &schedule).await? {
                None => return Ok((Noted::Known, schedule)),
                Some(row) if row.is_mended => Noted::Mended,
                Some(_) if failed.shape().dry_run => Noted::Rehearsed,
                Some(row) => {
                    alert::open(Unprepared(&mut tx), failed, &schedule, row.received_at).await?
                }
            };
            rows::log(Unprepared(&mut tx), failed, &schedule, noted).await?;
            Ok((noted, schedule))
        };
        let noted = noted.await.map_err(noting())?;
        tx.commit().await.map_err(noting())?;
        Ok(noted)
    }
}

impl Noted {
    /// The word for it, in answers and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Bumped => "bumped",
            Self::Mended => "mended",
            Self::Rehearsed => "rehearsed",
            Self::Known => "known",
        }
    }
}

impl Failed {
    /// The schedule whose alert this message opens.
    async fn counts_for(&self, db: Unprepared<'_>) -> sqlx::Result<String> {
        let continues = self.options.as_ref().and_then(|it| it.continuation_of);
        let whose =
            attribution::whose(db, self.job, self.schedule_id.as_deref(), continues).await?;
        Ok(whose.schedule_id)
    }

    fn shape(&self) -> Shape {
        self.options
            .as_ref()
            .map_or_else(|| Shape::of(&Options::default()), Shape::of)
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
struct Shape {
    shard: i32,
    shards: i32,
    hands_out: bool,
    dry_run: bool,
}

impl Shape {
    fn of(options: &Options) -> Self {
        let (shard, shards) = options.shard_of();
        Self {
            shard,
            shards,
            hands_out: options.fan_out.is_some(),
            dry_run: options.dry_run,
        }
    }
}

/// Holds back whoever else decides about this job's failures until the
/// transaction ends: neither would see what the other is about to commit.
async fn one_after_the_other(db: Unprepared<'_>, job: &Job) -> sqlx::Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended($1 || ':' || $2, 0))",
        KIND,
        job.name,
    )
    .execute(db)
    .await?;
    Ok(())
}
