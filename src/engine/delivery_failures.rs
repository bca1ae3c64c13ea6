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

use uuid::Uuid;

use super::{Job, JobError, Options, Runner, context};
use crate::alerts::kinds::SCHEDULE_FAILING;
use crate::database::{self, Transaction, TxLimits, Unprepared};
use crate::qstash::callback::Callback;
use crate::qstash::schedules::Schedules;

mod alert;
mod rows;

pub(super) use alert::resolve_after_success;

/// The `log_type` of its lines in `system_logs`.
const LOG_TYPE: &str = "cron_schedule_failing";

/// A message that QStash has given up on, as far as it is known.
#[derive(Debug, Clone)]
pub struct FailedMessage {
    /// The job it was for.
    pub job: &'static Job,
    /// What it asked of the job, where that can be read.
    pub options: Option<Options>,
    /// What QStash reports.
    pub callback: Callback,
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

async fn record(db: &mut Transaction, failed: &FailedMessage) -> sqlx::Result<(Recorded, String)> {
    lock(Unprepared(db), failed.job).await?;
    let (callback, options) = (&failed.callback, failed.options.as_ref());
    let schedule_id = callback.schedule_id.as_deref();
    let continues = options.and_then(|options| options.continuation_of);
    let (schedule, _) = attribution(Unprepared(db), failed.job, schedule_id, continues).await?;
    let recorded = match rows::insert(Unprepared(db), failed, &schedule).await? {
        None => return Ok((Recorded::Duplicate, schedule)),
        Some(row) if row.has_recovered => Recorded::AlreadyRecovered,
        Some(_) if options.is_some_and(|options| options.dry_run) => Recorded::DryRun,
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

/// Lets no other transaction decide about this job's failures until this one
/// ends: neither would see what the other is about to commit.
async fn lock(db: Unprepared<'_>, job: &Job) -> sqlx::Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended($1, 0))",
        SCHEDULE_FAILING.key(job.name),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The schedule of a message of `schedule_id`, delivered by QStash, that
/// continues the run `continues`; and whether QStash began it, and no person.
///
/// A continuation and a shard come from no schedule, but do the work of the
/// one that began their chain. Any other message without a schedule belongs to
/// the job's schedule.
async fn attribution(
    db: Unprepared<'_>,
    job: &Job,
    schedule_id: Option<&str>,
    continues: Option<Uuid>,
) -> sqlx::Result<(String, bool)> {
    let mut found = (schedule_id.map(str::to_owned), true);
    if let (None, Some(run_id)) = (schedule_id, continues) {
        let chain = sqlx::query!(
            r#"
            select coalesce(chain_schedule_id, schedule_id) as schedule_id,
                   coalesce(chain_trigger, trigger) = 'qstash' as "is_by_qstash!"
              from job_runs
             where id = $1
               and job = $2
            "#,
            run_id,
            job.name,
        )
        .fetch_optional(db)
        .await?;
        found = chain.map_or(found, |chain| (chain.schedule_id, chain.is_by_qstash));
    }
    let schedule_id = found.0.unwrap_or_else(|| schedule_of(job).to_owned());
    Ok((schedule_id, found.1))
}

/// The job's schedule, or the job where it has none.
fn schedule_of(job: &Job) -> &str {
    Schedules::deployed()
        .of(job.name)
        .map_or(job.name, |schedule| schedule.id.as_str())
}
