//! The outbox of mails: `report_deliveries`, one row for each report and
//! mailbox of a recipient. Which mailbox an address is, is said by the
//! database's function `mailbox_of`.
//!
//! Owns the rows and nothing of the mail. A row exists before the mail is
//! tried for the first time, so that nothing is lost when a run stops; it is
//! marked as begun before each try, and gets its outcome after it. In between
//! the outcome is unknown: the delivery is *unsure*.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::Results;
use crate::database::{Fault, Unprepared};
use crate::engine::results::MOST_NAMED;
use crate::engine::{Batch, JobContext, JobError, context};
use crate::foreign_text::ForeignText;
use crate::resend::Failure;

/// Deliveries that are begun, and so may be left unsure, at once.
const BATCH: i64 = 10;
/// Resend remembers an idempotency key for 24 hours.
const KEY_LASTS_HOURS: i64 = 23;
/// How long after its week a report is still mailed.
const MAILED_FOR_DAYS: i64 = 30;

/// A mail to be sent.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) report_id: Uuid,
    /// As the row has it.
    pub(super) recipient: String,
    /// Where it goes.
    pub(super) mailbox: String,
    pub(super) locale: String,
    /// The idempotency key of the mail.
    pub(super) mail_key: String,
    /// Whether an earlier try may have sent it.
    pub(super) was_unsure: bool,
}

/// How a delivery went; Resend's id of the mail, unless it had it before.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) delivery: Delivery,
    pub(super) answer: Result<Option<ForeignText>, DeliveryError>,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    /// Resend did not accept it.
    #[error(transparent)]
    Mail(#[from] Failure),
    /// The report cannot be read.
    #[error("{0}")]
    Report(ForeignText),
}

impl DeliveryError {
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

/// The mails in the outbox.
#[derive(Debug)]
pub(super) struct Backlog {
    /// All that wait, of the gyms that this run is about.
    pub(super) waiting: i64,
    /// Of them, those that this run would try now.
    pub(super) ready: i64,
    /// Those of every gym that wait for nothing of their own: none was refused.
    pub(super) held: i64,
    /// Some of the reports that are ready.
    pub(super) samples: Vec<Uuid>,
}

/// Adds the reports of the last week, one row for each recipient. While
/// another transaction holds one of the reports, earlier rows are still sent.
pub(super) async fn enqueue(ctx: &JobContext, results: &mut Results) -> Result<(), JobError> {
    let write = async |batch: &mut Batch<'_>, _: &mut Results| {
        let added = insert(batch.db()?, ctx).await;
        added.map_err(context("add mails to the outbox"))
    };
    match ctx.fence.write(results, write).await {
        Err(error) if error.fault() == Fault::Contended => {
            tracing::warn!(%error, "Skipping new mails until the next run");
            Ok(())
        }
        done => done,
    }
}

/// Marks the next deliveries as begun; none when none is ready. They, their
/// reports and the keys of their mails survive a crash of the database from
/// here on, because the mails leave now.
pub(super) async fn begin(ctx: &JobContext, results: &Results) -> Result<Vec<Delivery>, JobError> {
    let mut batch = ctx.fence.batch().await?;
    let deliveries = next(batch.db()?, ctx)
        .await
        .map_err(context("begin deliveries"))?;
    batch.make_durable().await?;
    batch.commit(results).await?;
    Ok(deliveries)
}

/// Records these outcomes, and counts them in `results`; answers whether it
/// could. While another transaction holds one of the rows, sent mails stay
/// unsure, and the next try finds that Resend knows them.
pub(super) async fn end(
    ctx: &JobContext,
    outcomes: &[Outcome],
    results: &mut Results,
) -> Result<bool, JobError> {
    let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
        for outcome in outcomes {
            sum.count(outcome);
        }
        let recorded = record(batch.db()?, ctx.now, outcomes).await;
        recorded.map_err(context("record how deliveries went"))
    };
    match ctx.fence.write(results, write).await {
        Err(error) if error.fault() == Fault::Contended => {
            tracing::warn!(%error, "Failed to record deliveries; the next try asks Resend again");
            Ok(false)
        }
        done => done.map(|()| true),
    }
}

async fn insert(db: Unprepared<'_>, ctx: &JobContext) -> sqlx::Result<()> {
    sqlx::query_file!(
        "src/jobs/weekly_reports/enqueue.sql",
        ctx.now,
        ctx.options.gym_id,
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn next(db: Unprepared<'_>, ctx: &JobContext) -> sqlx::Result<Vec<Delivery>> {
    sqlx::query_file_as!(
        Delivery,
        "src/jobs/weekly_reports/next_deliveries.sql",
        ctx.now,
        ctx.now - Duration::hours(KEY_LASTS_HOURS),
        ctx.now - Duration::days(MAILED_FOR_DAYS),
        ctx.options.gym_id,
        BATCH,
    )
    .fetch_all(db)
    .await
}

/// Counts the mails that wait, by the same rules as `next_deliveries.sql`.
pub(super) async fn count(db: Unprepared<'_>, ctx: &JobContext) -> sqlx::Result<Backlog> {
    sqlx::query_as!(
        Backlog,
        r#"
        select
            count(*) filter (where is_asked) as "waiting!",
            count(*) filter (where is_asked and is_ready) as "ready!",
            count(*) filter (where refusals = 0) as "held!",
            coalesce((array_agg(distinct report_id) filter (where is_asked and is_ready))[1:$5], '{}') as "samples!"
        from (
            select
                report_id,
                refusals,
                $4::uuid is null or gym_id = $4 as is_asked,
                coalesce(
                    attempted_at not between
                        $1::timestamptz - case when refusals > 0 then interval '1 hour' else '0' end and $1,
                    true
                ) as is_ready
            from open_deliveries
            where period_end > $3
                and period_end <= $1
                and (unsure_since is null or unsure_since > $2)
        ) as waiting
        "#,
        ctx.now,
        ctx.now - Duration::hours(KEY_LASTS_HOURS),
        ctx.now - Duration::days(MAILED_FOR_DAYS),
        ctx.options.gym_id,
        i32::from(MOST_NAMED),
    )
    .fetch_one(db)
    .await
}

/// A delivery that surely failed is no longer unsure, unless an earlier try
/// had left it so; one that was not tried is as it was before.
async fn record(db: Unprepared<'_>, now: DateTime<Utc>, outcomes: &[Outcome]) -> sqlx::Result<()> {
    let outcomes = outcomes.iter().map(|Outcome { delivery, answer }| {
        let failed = |is: fn(&DeliveryError) -> bool| answer.as_ref().is_err_and(is);
        json!({
            "report_id": delivery.report_id,
            "recipient": delivery.recipient,
            "message_id": answer.as_ref().ok(),
            "error": answer.as_ref().err().map(|error| ForeignText::new(&error.to_string())),
            "was_unsure": delivery.was_unsure,
            "is_unsure": failed(DeliveryError::is_unsure),
            "is_refusal": failed(DeliveryError::is_refusal),
            "is_untried": failed(DeliveryError::is_untried),
        })
    });
    sqlx::query!(
        "
        update report_deliveries as delivery
        set
            sent_at = case when outcome.error is null then $2::timestamptz end,
            error = outcome.error,
            message_id = outcome.message_id,
            unsure_since = case
                when outcome.error is not null and (was_unsure or is_unsure) then delivery.unsure_since
            end,
            refusals = delivery.refusals + is_refusal::int,
            attempts = delivery.attempts - is_untried::int,
            attempted_at = case when not is_untried then delivery.attempted_at end
        from jsonb_to_recordset($1) as outcome (
            report_id uuid, recipient text, message_id text, error text, was_unsure boolean, is_unsure boolean,
            is_refusal boolean, is_untried boolean
        )
        where delivery.report_id = outcome.report_id
            and delivery.recipient = outcome.recipient
            and delivery.sent_at is null
        ",
        Json(outcomes.collect::<Vec<_>>()) as _,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
