//! The rows of the job: which intents are stale, and what Stripe's answer
//! changes.
//!
//! Every statement is guarded by the state it expects and bound to `ctx.now`.
//! Intents are locked in id order.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Results, alerts};
use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};
use crate::shop::payment_intents::health::{self, Matter};
use crate::shop::payment_intents::verdict::may_end_stale;
use crate::shop::payment_intents::{self, IntentReport, IntentState, LocalIntent, Synced};
use crate::shop::sweep::Key;

/// Who the audit trail says did it.
const ACTOR: &str = "system:cleanup-stale-payment-intents";
/// How old an intent is when it is stale whatever became of its order, unless
/// that can still be paid.
const STALE: TimeDelta = TimeDelta::days(7);
/// How long Stripe's answer is good.
const FRESH: TimeDelta = TimeDelta::hours(1);

/// How long a 404 is good: a weekly run asks again.
const MISSING: TimeDelta = TimeDelta::hours(156);

/// The last look before an intent is ended: whether it still may be, and is as
/// it was read.
pub(super) async fn may_still_end(ctx: &JobContext, report: &IntentReport) -> bool {
    let look = async {
        let mut tx = ctx.reading().await?;
        stale(Unprepared(&mut tx), ctx, None, Some(&[report.intent.id]), 1)
            .await
            .map_err(context("look at a stale intent again"))
    };
    let rows = look.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "Failed to look at an intent before its cancel; it stays");
        Vec::new()
    });
    rows.into_iter().any(|row| {
        let may_end = may_end_stale(&report.state, row.order_has_ended);
        may_end && row.intent().is_as(&report.intent)
    })
}

/// Writes what Stripe answered, all in the one transaction of `batch`, and adds
/// it to `sum`.
pub(super) async fn apply(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    reports: &[IntentReport],
    sum: &mut Results,
) -> Result<(), JobError> {
    let all: Vec<&IntentReport> = reports.iter().collect();
    let synced = payment_intents::sync(batch.db()?, &all, ctx, ACTOR)
        .await
        .map_err(context("write what Stripe said"))?;
    let synced: HashMap<Uuid, Synced> = synced.into_iter().map(|row| (row.id, row)).collect();
    let paid = alerts::paid_orders(reports, &synced);
    sum.alerts_opened += health::tell_of(batch, synced.values(), &paid, ctx.now).await?;
    let missing = alerts::about_missing(reports, &synced);
    sum.alerts_opened += health::raise(batch, Matter::IntentsMissing, &missing, ctx.now).await?;
    for report in reports {
        let row = synced.get(&report.intent.id);
        count(ctx, report, row, sum);
    }
    Ok(())
}

/// Counts an intent once. `row` is what was written: nothing, when the intent
/// had ended here in the meantime.
fn count(ctx: &JobContext, report: &IntentReport, row: Option<&Synced>, sum: &mut Results) {
    let (action, counter) = match (row, &report.state) {
        (Some(row), IntentState::Canceled { by_us: true, .. }) if row.has_turned => (
            "payment_intents_canceled",
            &mut sum.payment_intents_canceled,
        ),
        (Some(row), _) if row.has_turned => ("payments_updated", &mut sum.payments_updated),
        (
            Some(_),
            IntentState::Unclear(why) | IntentState::Refused(why) | IntentState::Denied(why),
        ) => {
            return sum.add_error(report, why);
        }
        _ => ("left_alone", &mut sum.left_alone),
    };
    *counter += 1;
    sum.samples.add(ctx, action, &[report.intent.name()]);
}

/// A stale intent, and its place in the line.
#[derive(Debug)]
pub(super) struct StaleRow {
    pub(super) id: Uuid,
    stripe_id: Option<String>,
    checkout_session_id: Option<String>,
    cancel_attempts: i32,
    status: String,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) order_has_ended: bool,
}

impl StaleRow {
    pub(super) fn intent(self) -> LocalIntent {
        LocalIntent {
            id: self.id,
            stripe_id: self.stripe_id,
            checkout_session_id: self.checkout_session_id,
            cancel_attempts: self.cancel_attempts,
            status: self.status,
            updated_at: self.updated_at,
            is_known_open: false,
        }
    }
}

/// Stale intents of this run's shard, the longest untouched first: after
/// `after`, or only of `these`.
pub(super) async fn stale(
    db: Unprepared<'_>,
    ctx: &JobContext,
    after: Option<Key>,
    these: Option<&[Uuid]>,
    size: i64,
) -> sqlx::Result<Vec<StaleRow>> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query_file_as!(
        StaleRow,
        "src/jobs/cleanup_stale_payment_intents/stale.sql",
        ctx.now,
        ctx.now - STALE,
        ctx.now - FRESH,
        after.map(|(updated_at, _)| updated_at),
        after.map(|(_, id)| id),
        shard,
        shards,
        these as Option<&[Uuid]>,
        size,
        ctx.now - MISSING,
    )
    .fetch_all(db)
    .await
}
