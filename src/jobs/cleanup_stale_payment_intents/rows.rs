//! The rows of the job: which intents are stale, and what Stripe's word
//! changes.
//!
//! Every statement is guarded by the state it expects and bound to `cx.now`.
//! Intents are locked in id order.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{BATCH, Results, SAMPLES, trouble};
use crate::database::Unnamed;
use crate::jobs::alerts;
use crate::jobs::intents::{self, LocalIntent, Synced, Told, Word};
use crate::jobs::{Batch, Cx, Finish, Stop, during};

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
    pub(super) fn at_the_longest_untouched(cx: &Cx) -> Self {
        Self {
            after: None,
            left: cx.rows_left(),
            at_the_end: cx.rows_left() == 0,
        }
    }

    /// Done once every stale intent was looked at, or `limit` of them.
    pub(super) fn finish(&self) -> Finish {
        if self.at_the_end {
            Finish::Done
        } else {
            Finish::WorkLeft
        }
    }

    /// Some of the intents that were handed out were not looked at.
    pub(super) fn interrupted(&mut self) {
        self.at_the_end = false;
        self.left = 0;
    }

    /// The next batch of stale intents.
    pub(super) async fn batch(&mut self, cx: &Cx) -> Result<Vec<LocalIntent>, Stop> {
        let size = cx.options.batch_size_or(BATCH);
        let size = size.min(self.left.try_into().unwrap_or(i64::MAX));
        if size == 0 || self.at_the_end {
            return Ok(Vec::new());
        }
        let mut tx = cx.reading().await?;
        let rows = stale(Unnamed(&mut tx), cx, self.after, None, size)
            .await
            .map_err(during("pick stale intents"))?;
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
pub(super) async fn still_stale(cx: &Cx, asked: &[Told]) -> Result<HashMap<Uuid, bool>, Stop> {
    let ids: Vec<Uuid> = asked.iter().map(|told| told.intent.id).collect();
    let mut tx = cx.reading().await?;
    let rows = stale(Unnamed(&mut tx), cx, None, Some(&ids), i64::MAX)
        .await
        .map_err(during("read stale intents again"))?;
    let rows = rows.into_iter().map(|row| (row.id, row.order_has_ended));
    Ok(rows.collect())
}

/// Writes what was told, all in the one transaction of `batch`, and adds it
/// to `sum`.
pub(super) async fn apply(
    cx: &Cx,
    batch: &mut Batch<'_>,
    told: &[Told],
    sum: &mut Results,
) -> Result<(), Stop> {
    let words: Vec<&Told> = told.iter().collect();
    let synced = intents::sync(batch.db()?, &words, cx, ACTOR)
        .await
        .map_err(during("write what Stripe said"))?;
    let synced: HashMap<Uuid, Synced> = synced.into_iter().map(|row| (row.id, row)).collect();
    let raised = trouble::found(batch, told, &synced).await?;
    sum.alerts_opened += alerts::open(batch.db()?, &raised, cx.now)
        .await
        .map_err(during("open alerts"))?;
    for told in told {
        count(told, synced.get(&told.intent.id), sum, cx.options.dry_run);
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
    db: Unnamed<'_>,
    cx: &Cx,
    after: Option<(DateTime<Utc>, Uuid)>,
    these: Option<&[Uuid]>,
    size: i64,
) -> sqlx::Result<Vec<StaleRow>> {
    let (shard, shards) = cx.options.shard_of();
    sqlx::query_file_as!(
        StaleRow,
        "src/jobs/cleanup_stale_payment_intents/stale.sql",
        cx.now,
        cx.now - STALE,
        cx.now - FRESH,
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
