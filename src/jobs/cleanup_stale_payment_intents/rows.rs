//! The rows of the job: which intents are stale, and what Stripe's word
//! changes.
//!
//! Every statement is guarded by the state it expects and bound to `ctx.now`.
//! Intents are locked in id order.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{BATCH, Results, SAMPLES, trouble};
use crate::alerts;
use crate::database::Unprepared;
use crate::engine::{Batch, Completion, JobContext, JobError, context};
use crate::shop::payment_intents::{self, LocalIntent, Synced, Told, Word};

/// Who the audit trail says did it.
const ACTOR: &str = "system:cleanup-stale-payment-intents";
/// How old an intent is when it is stale whatever became of its order, unless
/// that can still be paid.
const STALE: TimeDelta = TimeDelta::days(7);
/// How long Stripe's word is good.
const FRESH: TimeDelta = TimeDelta::hours(1);

/// Where the walk over the stale intents stands.
#[derive(Debug)]
pub(super) struct Cursor {
    after: Option<(DateTime<Utc>, Uuid)>,
    left: u64,
    at_the_end: bool,
}

impl Cursor {
    pub(super) fn at_the_longest_untouched(ctx: &JobContext) -> Self {
        Self {
            after: None,
            left: ctx.rows_left(),
            at_the_end: ctx.rows_left() == 0,
        }
    }

    /// Done once every stale intent was looked at, or `limit` of them.
    pub(super) fn finish(&self) -> Completion {
        if self.at_the_end {
            Completion::Done
        } else {
            Completion::WorkLeft
        }
    }

    /// Some of the intents that were handed out were not looked at.
    pub(super) fn interrupted(&mut self) {
        self.at_the_end = false;
        self.left = 0;
    }

    /// The next batch of stale intents.
    pub(super) async fn batch(&mut self, ctx: &JobContext) -> Result<Vec<LocalIntent>, JobError> {
        let size = ctx.options.batch_size_or(BATCH);
        let size = size.min(self.left.try_into().unwrap_or(i64::MAX));
        if size == 0 || self.at_the_end {
            return Ok(Vec::new());
        }
        let mut tx = ctx.reading().await?;
        let rows = stale(Unprepared(&mut tx), ctx, self.after, None, size)
            .await
            .map_err(context("pick stale intents"))?;
        self.after = rows
            .last()
            .map(|row| (row.updated_at, row.id))
            .or(self.after);
        let read = rows.len() as u64;
        self.left -= self.left.min(read);
        self.at_the_end = i64::try_from(read).is_ok_and(|read| read < size) || self.left == 0;
        Ok(rows.into_iter().map(StaleRow::intent).collect())
    }
}

/// Which of these are still stale, and of each whether its order has ended.
pub(super) async fn still_stale(
    ctx: &JobContext,
    asked: &[Told],
) -> Result<HashMap<Uuid, bool>, JobError> {
    let ids: Vec<Uuid> = asked.iter().map(|told| told.intent.id).collect();
    let mut tx = ctx.reading().await?;
    let rows = stale(Unprepared(&mut tx), ctx, None, Some(&ids), i64::MAX)
        .await
        .map_err(context("read stale intents again"))?;
    let rows = rows.into_iter().map(|row| (row.id, row.order_has_ended));
    Ok(rows.collect())
}

/// Writes what was told, all in the one transaction of `batch`, and adds it
/// to `sum`.
pub(super) async fn apply(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    told: &[Told],
    sum: &mut Results,
) -> Result<(), JobError> {
    let words: Vec<&Told> = told.iter().collect();
    let synced = payment_intents::sync(batch.db()?, &words, ctx, ACTOR)
        .await
        .map_err(context("write what Stripe said"))?;
    let synced: HashMap<Uuid, Synced> = synced.into_iter().map(|row| (row.id, row)).collect();
    let raised = trouble::found(batch, told, &synced).await?;
    sum.alerts_opened += alerts::open(batch.db()?, &raised, ctx.now)
        .await
        .map_err(context("open alerts"))?;
    for told in told {
        count(told, synced.get(&told.intent.id), sum, ctx.options.dry_run);
    }
    Ok(())
}

/// Counts an intent once. `row` is what was written; nothing was when
/// somebody else had brought the intent to an end.
fn count(told: &Told, row: Option<&Synced>, sum: &mut Results, dry_run: bool) {
    let stripe_id = &told.intent.stripe_id;
    let (action, counter) = match (row, &told.word) {
        (Some(row), Word::Canceled { by_us: true, .. }) if row.has_turned() => (
            "payment_intents_canceled",
            &mut sum.payment_intents_canceled,
        ),
        (Some(row), _) if row.has_turned() => ("payments_updated", &mut sum.payments_updated),
        (Some(_), Word::Unclear(why) | Word::Refused(why) | Word::Denied(why)) => {
            return sum.add_error(stripe_id, why);
        }
        _ => ("left_alone", &mut sum.left_alone),
    };
    *counter += 1;
    if dry_run {
        let samples = sum.samples.entry(action).or_default();
        if samples.len() < SAMPLES {
            samples.push(stripe_id.clone());
        }
    }
}

/// A stale intent, and where it stands in the line.
#[derive(Debug)]
struct StaleRow {
    id: Uuid,
    stripe_id: String,
    checkout_session_id: Option<String>,
    cancel_attempts: i32,
    updated_at: DateTime<Utc>,
    order_has_ended: bool,
}

impl StaleRow {
    fn intent(self) -> LocalIntent {
        LocalIntent {
            id: self.id,
            stripe_id: self.stripe_id,
            checkout_session_id: self.checkout_session_id,
            cancel_attempts: self.cancel_attempts,
        }
    }
}

/// Stale intents of this run's shard, those let lie longest first: after
/// `after`, or only of `these`.
async fn stale(
    db: Unprepared<'_>,
    ctx: &JobContext,
    after: Option<(DateTime<Utc>, Uuid)>,
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
