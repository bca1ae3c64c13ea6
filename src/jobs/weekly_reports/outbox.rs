//! The mails that are owed: `report_deliveries`, one row for each report and
//! recipient.
//!
//! Owns the rows and nothing of the mail. A row is there before the mail is
//! tried for the first time, so that nothing is lost when a run stops; it is
//! noted as begun before it is tried, and again when it is known how it went.
//! In between nobody knows whether it was sent: it is *unsure*.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{Results, SAMPLES};
use crate::database::{Fault, Unprepared};
use crate::engine::{JobContext, JobError, context};
use crate::resend::Failure;

/// Deliveries that are noted, and so may be left unsure, at once.
const BATCH: i64 = 10;
/// Resend remembers an idempotency key for 24 hours.
const KEY_LASTS_HOURS: i64 = 23;
/// How long after its week a report is still mailed.
const WANTED_DAYS: i64 = 30;

/// A delivery to be made.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) report_id: Uuid,
    pub(super) recipient: String,
    pub(super) locale: String,
    /// Whether an earlier try may have sent it.
    pub(super) was_unsure: bool,
}

/// How a delivery went; Resend's id of the mail, unless it had it before.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) delivery: Delivery,
    pub(super) answer: Result<Option<String>, Trouble>,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Resend did not take it.
    #[error(transparent)]
    Mail(#[from] Failure),
    /// There is nothing to write the mail from.
    #[error("{0}")]
    Report(String),
}

impl Trouble {
    /// Whether the same will most likely happen again.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Report(_) | Self::Mail(Failure::Refused { .. }))
    }

    /// Whether it may have been sent.
    fn is_unsure(&self) -> bool {
        matches!(self, Self::Mail(failure) if failure.is_unsure())
    }

    /// Whether it was not tried at all.
    fn is_untried(&self) -> bool {
        matches!(self, Self::Mail(Failure::NoTime))
    }
}

/// What is owed.
#[derive(Debug)]
pub(super) struct Left {
    /// Mails in all.
    pub(super) owed: i64,
    /// Of them, those that this run would try now.
    pub(super) due: i64,
    /// Some of the reports that are due.
    pub(super) samples: Vec<Uuid>,
}

/// Puts on record who is owed a report. When somebody holds one of the
/// reports, those who are on record already get theirs all the same.
pub(super) async fn owe(ctx: &JobContext, results: &Results) -> Result<(), JobError> {
    let mut batch = ctx.fence.batch().await?;
    match add(batch.db()?, ctx)
        .await
        .map_err(context("note whom to mail"))
    {
        Ok(()) => batch.commit(results).await,
        Err(stop) if stop.fault() == Fault::Contended => {
            tracing::warn!(error = %stop, "whom to mail is noted by the next run");
            batch.undo().await
        }
        Err(stop) => Err(stop),
    }
}

/// Notes the next deliveries as begun; none when none is due.
pub(super) async fn begin(ctx: &JobContext, results: &Results) -> Result<Vec<Delivery>, JobError> {
    let mut batch = ctx.fence.batch().await?;
    let due = next(batch.db()?, ctx)
        .await
        .map_err(context("note deliveries"))?;
    batch.commit(results).await?;
    Ok(due)
}

/// Writes down how these went, and with them `results`; answers whether it
/// could. When somebody holds one of the rows, what was sent stays unsure, and
/// the next try finds that Resend knows it.
pub(super) async fn end(
    ctx: &JobContext,
    outcomes: &[Outcome],
    results: &Results,
) -> Result<bool, JobError> {
    let mut batch = ctx.fence.batch().await?;
    let ended = note(batch.db()?, ctx.now, outcomes)
        .await
        .map_err(context("note how deliveries went"));
    match ended {
        Ok(()) => batch.commit(results).await.map(|()| true),
        Err(stop) if stop.fault() == Fault::Contended => {
            tracing::warn!(error = %stop, "deliveries stay unsure until the next try");
            batch.undo().await.map(|()| false)
        }
        Err(stop) => Err(stop),
    }
}

async fn add(db: Unprepared<'_>, ctx: &JobContext) -> sqlx::Result<()> {
    sqlx::query_file!(
        "src/jobs/weekly_reports/owe.sql",
        ctx.now,
        ctx.options.gym_id
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn next(db: Unprepared<'_>, ctx: &JobContext) -> sqlx::Result<Vec<Delivery>> {
    sqlx::query_file_as!(
        Delivery,
        "src/jobs/weekly_reports/begin_deliveries.sql",
        ctx.now,
        ctx.now - Duration::hours(KEY_LASTS_HOURS),
        ctx.now - Duration::days(WANTED_DAYS),
        ctx.options.gym_id,
        BATCH,
    )
    .fetch_all(db)
    .await
}

/// Counts what is owed.
pub(super) async fn count(db: Unprepared<'_>, ctx: &JobContext) -> sqlx::Result<Left> {
    sqlx::query_file_as!(
        Left,
        "src/jobs/weekly_reports/count_deliveries.sql",
        ctx.now,
        ctx.now - Duration::hours(KEY_LASTS_HOURS),
        ctx.now - Duration::days(WANTED_DAYS),
        ctx.options.gym_id,
        i32::try_from(SAMPLES).unwrap_or(i32::MAX),
    )
    .fetch_one(db)
    .await
}

/// A delivery that surely failed is no longer unsure, unless an earlier try
/// had left it so; one that was not tried is as it was before.
async fn note(db: Unprepared<'_>, now: DateTime<Utc>, outcomes: &[Outcome]) -> sqlx::Result<()> {
    let reports: Vec<Uuid> = outcomes.iter().map(|o| o.delivery.report_id).collect();
    let recipients: Vec<String> = outcomes
        .iter()
        .map(|o| o.delivery.recipient.clone())
        .collect();
    let message_ids: Vec<Option<String>> = outcomes
        .iter()
        .map(|o| o.answer.as_ref().ok().cloned().flatten())
        .collect();
    let errors: Vec<Option<String>> = outcomes
        .iter()
        .map(|o| o.answer.as_ref().err().map(ToString::to_string))
        .collect();
    let failed = |is: fn(&Trouble) -> bool| -> Vec<bool> {
        let answers = outcomes.iter().map(|o| o.answer.as_ref());
        answers.map(|answer| answer.err().is_some_and(is)).collect()
    };
    let were_unsure: Vec<bool> = outcomes.iter().map(|o| o.delivery.was_unsure).collect();
    sqlx::query!(
        "update report_deliveries d
            set sent_at = case when o.error is null then $9::timestamptz end,
                error = o.error,
                message_id = o.message_id,
                unsure_since = case
                    when o.error is not null and (o.was_unsure or o.is_unsure)
                    then d.unsure_since
                end,
                refusals = d.refusals + o.is_refusal::int,
                attempts = d.attempts - o.is_untried::int,
                attempted_at = case when not o.is_untried then d.attempted_at end
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[],
                       $6::boolean[], $7::boolean[], $8::boolean[])
                as o (report_id, recipient, message_id, error, was_unsure, is_unsure, is_refusal,
                      is_untried)
          where d.report_id = o.report_id
            and d.recipient = o.recipient
            and d.sent_at is null",
        &reports,
        &recipients,
        &message_ids as &[Option<String>],
        &errors as &[Option<String>],
        &were_unsure,
        &failed(Trouble::is_unsure),
        &failed(Trouble::is_refusal),
        &failed(Trouble::is_untried),
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
