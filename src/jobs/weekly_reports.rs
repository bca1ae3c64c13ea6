//! Writes each gym's weekly report, and mails it to its recipients.
//!
//! - What: one report per active gym and ISO week, also for an empty week:
//!   the last week that is over on the gym's own clocks.
//! - Which rows: gyms by keyset over their id, in batches; each kind of
//!   number is one statement over the whole batch.
//! - Twice is harmless: an existing report stays as it was read and mailed;
//!   with `force` it is made again from later data, and replaced only when
//!   its content hash changed, with the old hash kept in `audit_events`. A
//!   mail is recorded before it is sent, and carries a key by which Resend
//!   recognises a repetition.
//! - When: Mondays at six in the morning and at eight in the evening, in Paris:
//!   at one of them the week of every zone has been over for less than a day.
//!
//! A report holds ids, codes and numbers. Names and texts are added when it
//! is read. A mail that fails never fails the report.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use crate::engine::results::name;
use crate::engine::{Completion, Job, JobContext, JobError, with_json_results};
use crate::foreign_text::ForeignText;

mod candidates;
mod deliver;
mod outbox;
mod queries;
mod save;
mod settle;
mod waiting;

use candidates::Cursor;
use waiting::Resume;

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "weekly-reports",
    log_type: "cron_weekly_reports",
    accepts: &[
        "dry_run",
        "as_of",
        "batch_size",
        "limit",
        "gym_id",
        "force",
        "continuation_of",
    ],
    totals: &["generated", "emails_sent"],
    run: |ctx| with_json_results(ctx, |ctx, results| Box::pin(work(ctx, results))),
};

/// Gyms per transaction.
const BATCH: u32 = 200;

/// What a run did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Results {
    /// Gyms that were looked at.
    pub(super) total: u64,
    /// Reports that are new, or were replaced.
    pub(super) generated: u64,
    /// Reports that were there and stay as they are.
    pub(super) unchanged: u64,
    /// Of the generated ones, those of a week without visits or conversations.
    pub(super) empty: u64,
    /// Gyms that were not active, or not there yet when the week ended.
    pub(super) skipped: u64,
    /// Gyms whose report could not be made.
    pub(super) errors: u64,
    /// Mails that Resend accepted.
    pub(super) emails_sent: u64,
    /// Mails that it did not.
    pub(super) emails_failed: u64,
    /// Mails that wait in the outbox; the next run tries again.
    pub(super) emails_waiting: u64,
    /// When the run goes on with the mails that wait for Resend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resume: Option<Resume>,
    /// What could not be done, and why; the first fifty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) failures: Vec<ReportFailure>,
    /// In a dry run, the first fifty gyms that would get a report, and the
    /// first fifty reports that would be mailed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) samples: BTreeMap<&'static str, Vec<Uuid>>,
}

/// A report or a mail that failed, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ReportFailure {
    /// The gym, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gym_id: Option<Uuid>,
    /// The report that was not mailed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) report_id: Option<Uuid>,
    /// What went wrong.
    pub(super) error: ForeignText,
}

/// All reports first, then the mail, which takes longer and may fail.
async fn work(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let mut cursor = Cursor::begin(ctx);
    while !ctx.budget.is_spent() {
        let Some(candidates) = cursor.batch(ctx, results).await? else {
            break;
        };
        if settle::settle(ctx, &candidates, &mut cursor, results).await? == Completion::WorkLeft {
            break;
        }
        cursor.leave(ctx);
    }
    match cursor.finish() {
        Completion::Done => deliver::deliver(ctx, results).await,
        Completion::WorkLeft => deliver::defer(ctx, results).await,
    }
}

impl Results {
    /// Counts a gym whose report could not be made.
    fn gym_failed(&mut self, gym_id: Uuid, error: ForeignText) {
        self.errors += 1;
        self.note(Some(gym_id), None, error);
    }

    fn note(&mut self, gym_id: Option<Uuid>, report_id: Option<Uuid>, error: ForeignText) {
        let failure = ReportFailure {
            gym_id,
            report_id,
            error,
        };
        name(&mut self.failures, [failure]);
    }
}
