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
use crate::shop::payment_intents::{self, IntentReport, IntentState, LocalIntent, Synced};
use crate::shop::sweep::Key;

/// Who the audit trail says did it.
const ACTOR: &str = "system:cleanup-stale-payment-intents";
/// How old an intent is when it is stale whatever became of its order, unless
/// that can still be paid.
const STALE: TimeDelta = TimeDelta::days(7);
/// How long Stripe's answer is good.
const FRESH: TimeDelta = TimeDelta::hours(1);

/// Which of these are still stale, and of each whether its order has ended.
pub(super) async fn still_stale(
    ctx: &JobContext,
    reports: &[IntentReport],
) -> Result<HashMap<Uuid, bool>, JobError> {
    let ids: Vec<Uuid> = reports.iter().map(|report| report.intent.id).collect();
    let mut tx = ctx.reading().await?;
    let rows = stale(Unprepared(&mut tx), ctx, None, Some(&ids), i64::MAX)
        .await
        .map_err(context("read stale intents again"))?;
    let rows = rows.into_iter().map(|row| (row.id, row.order_has_ended));
    Ok(rows.collect())
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
    let raised = alerts::about(batch, reports, &synced).await?;
    let opened = crate::alerts::open(batch.db()?, &raised, ctx.now)
        .await
        .map_err(context("open alerts"))?;
    sum.alerts_opened += opened.len();
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
        (Some(row), IntentState::Canceled { by_us: true, .. }) if row.has_turned() => (
            "payment_intents_canceled",
            &mut sum.payment_intents_canceled,
        ),
        (Some(row), _) if row.has_turned() => ("payments_updated", &mut sum.payments_updated),
        (
            Some(_),
            IntentState::Unclear(why) | IntentState::Refused(why) | IntentState::Denied(why),
        ) => {
            return sum.add_error(report, why);
        }
        _ => ("left_alone", &mut sum.left_alone),
    };
    *counter += 1;
    let stripe_id = std::slice::from_ref(&report.intent.stripe_id);
    sum.samples.add(ctx, action, stripe_id);
}

/// A stale intent, and its place in the line.
#[derive(Debug)]
pub(super) struct StaleRow {
    pub(super) id: Uuid,
    stripe_id: String,
    checkout_session_id: Option<String>,
    cancel_attempts: i32,
    pub(super) updated_at: DateTime<Utc>,
    order_has_ended: bool,
}

impl StaleRow {
    pub(super) fn intent(self) -> LocalIntent {
        LocalIntent {
            id: self.id,
            stripe_id: self.stripe_id,
            checkout_session_id: self.checkout_session_id,
            cancel_attempts: self.cancel_attempts,
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
    )
    .fetch_all(db)
    .await
}

/// The intent that Stripe was last known to know, if any.
pub(super) async fn known_to_stripe(ctx: &JobContext) -> Result<Option<String>, JobError> {
    let mut tx = ctx.reading().await?;
    sqlx::query_scalar!(
        "select stripe_payment_intent_id
           from payment_intents
          where last_synced_at is not null
            and status <> 'missing'
          order by last_synced_at desc
          limit 1"
    )
    .fetch_optional(Unprepared(&mut tx))
    .await
    .map_err(context("look for an intent that Stripe knows"))
}
