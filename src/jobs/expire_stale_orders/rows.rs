//! The rows of the job: which orders are due, and what a verdict changes.
//!
//! Every statement is guarded by the state it expects and bound to `ctx.now`.
//! Lock order: orders by id, intents by id, stock levels by id.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::statements::{self, DueRow};
use super::verdict::{Due, Judged, Outcome};
use super::{BATCH, OrderError, Results, SAMPLES};
use crate::alerts::{self, About, Alert};
use crate::database::Unprepared;
use crate::engine::{Batch, Completion, JobContext, JobError, context};
use crate::shop::payment_intents::{self, LocalIntent, Told};
use crate::shop::stock::release_reserved_stock;

/// The kinds of alert that end when the shop settles the order.
const KINDS: [&str; 3] = [
    "order_paid_unsettled",
    "payment_intent_missing",
    "order_expiry_stuck",
];

/// The statuses in which an order waits to be paid.
const UNPAID: [&str; 2] = ["PENDING", "REQUIRES_PAYMENT"];

/// Batches that are read at once: reading costs a round trip, and every batch
/// is judged anew under its locks.
const BATCHES_AHEAD: i64 = 10;

/// Where the walk over the due orders stands.
#[derive(Debug)]
pub(super) struct Cursor {
    after: Option<(DateTime<Utc>, Uuid)>,
    ahead: VecDeque<Due>,
    left: u64,
    at_the_end: bool,
}

impl Cursor {
    pub(super) fn at_the_oldest(ctx: &JobContext) -> Self {
        Self {
            after: None,
            ahead: VecDeque::new(),
            left: ctx.rows_left(),
            at_the_end: ctx.rows_left() == 0,
        }
    }

    /// Done once every due order was looked at, or `limit` of them.
    pub(super) fn finish(&self) -> Completion {
        if self.at_the_end && self.ahead.is_empty() {
            Completion::Done
        } else {
            Completion::WorkLeft
        }
    }

    /// Some of the orders that were handed out were not looked at.
    pub(super) fn interrupted(&mut self) {
        self.at_the_end = false;
        self.left = 0;
        self.ahead.clear();
    }

    /// The next batch of due orders, with the intents that Stripe must be
    /// asked about.
    pub(super) async fn batch(&mut self, ctx: &JobContext) -> Result<Vec<Due>, JobError> {
        if self.ahead.is_empty() {
            self.read_ahead(ctx).await?;
        }
        let size = usize::try_from(ctx.options.batch_size_or(BATCH)).unwrap_or(usize::MAX);
        Ok(self.ahead.drain(..size.min(self.ahead.len())).collect())
    }

    async fn read_ahead(&mut self, ctx: &JobContext) -> Result<(), JobError> {
        let size = ctx.options.batch_size_or(BATCH) * BATCHES_AHEAD;
        let size = size.min(self.left.try_into().unwrap_or(i64::MAX));
        if size == 0 || self.at_the_end {
            return Ok(());
        }
        let mut tx = ctx.reading().await?;
        let rows = statements::pick(Unprepared(&mut tx), ctx, self.after, size)
            .await
            .map_err(context("pick stale orders"))?;
        self.after = rows
            .last()
            .map(|row| (row.expires_at, row.id))
            .or(self.after);
        self.ahead = by_order(rows);
        let read = self.ahead.len() as u64;
        self.left -= self.left.min(read);
        self.at_the_end = i64::try_from(read).is_ok_and(|read| read < size) || self.left == 0;
        Ok(())
    }
}

/// Orders with their intents, from one row per intent.
fn by_order(rows: Vec<DueRow>) -> VecDeque<Due> {
    let mut due: VecDeque<Due> = VecDeque::new();
    for row in rows {
        if due.back().is_none_or(|last| last.id != row.id) {
            due.push_back(Due {
                id: row.id,
                intents: Vec::new(),
            });
        }
        if let (Some(last), Some(id), Some(stripe_id)) =
            (due.back_mut(), row.intent_id, row.stripe_id)
        {
            last.intents.push(LocalIntent {
                id,
                stripe_id,
                checkout_session_id: row.checkout_session_id,
                cancel_attempts: row.cancel_attempts.unwrap_or_default(),
            });
        }
    }
    due
}

/// What one batch changed.
#[derive(Debug, Default)]
pub(super) struct Applied {
    expired: Vec<Uuid>,
    paid: Vec<Uuid>,
    deferred: Vec<Uuid>,
    canceled: Vec<String>,
    stock_released: i64,
    alerts_opened: u64,
    errors: Vec<OrderError>,
}

impl Applied {
    /// Adds this batch to the run's results, with sample ids in a dry run.
    pub(super) fn add_to(self, sum: &mut Results, dry_run: bool) {
        sum.orders_expired += self.expired.len() as u64;
        sum.orders_paid += self.paid.len() as u64;
        sum.orders_deferred += self.deferred.len() as u64;
        sum.payment_intents_canceled += self.canceled.len() as u64;
        sum.stock_released += self.stock_released;
        sum.alerts_opened += self.alerts_opened;
        let room = SAMPLES.saturating_sub(sum.errors.len());
        sum.errors.extend(self.errors.into_iter().take(room));
        if dry_run {
            let text = |ids: Vec<Uuid>| ids.iter().map(Uuid::to_string).collect();
            sample(sum, "orders_expired", text(self.expired));
            sample(sum, "orders_paid", text(self.paid));
            sample(sum, "orders_deferred", text(self.deferred));
            sample(sum, "payment_intents_canceled", self.canceled);
        }
    }
}

fn sample(sum: &mut Results, action: &'static str, ids: Vec<String>) {
    if ids.is_empty() {
        return;
    }
    let samples = sum.samples.entry(action).or_default();
    let room = SAMPLES.saturating_sub(samples.len());
    samples.extend(ids.into_iter().take(room));
}

/// Applies the verdicts, all in the one transaction of `batch`.
pub(super) async fn apply(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    judged: &[Judged],
) -> Result<Applied, JobError> {
    let mut applied = Applied::default();
    let ids: Vec<Uuid> = judged.iter().map(|order| order.order_id).collect();
    let unpaid = statements::lock_unpaid(batch.db()?, &ids, ctx.now)
        .await
        .map_err(context("lock the orders"))?;
    let told: Vec<&Told> = judged.iter().flat_map(|order| &order.told).collect();
    if !told.is_empty() {
        let synced = payment_intents::sync(batch.db()?, &told, ctx, statements::ACTOR)
            .await
            .map_err(context("write what Stripe said"))?;
        let canceled = synced.into_iter().filter(|row| row.status == "canceled");
        applied.canceled = canceled.map(|row| row.stripe_id).collect();
    }
    let (expire, keep): (Vec<&Judged>, Vec<&Judged>) = judged
        .iter()
        .filter(|order| unpaid.contains(&order.order_id))
        .partition(|order| order.outcome == Outcome::Expire);
    let expire: Vec<Uuid> = expire.iter().map(|order| order.order_id).collect();
    applied.expired = statements::expire(batch.db()?, &expire, ctx)
        .await
        .map_err(context("expire the orders"))?;
    applied.stock_released =
        release_reserved_stock(batch.db()?, &applied.expired, "order_expired", ctx.now)
            .await
            .map_err(context("release reserved stock"))?;
    keep_orders(ctx, batch, &keep, &mut applied).await?;
    Ok(applied)
}

/// Orders that stay: when they come up again, and whom it concerns.
async fn keep_orders(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    keep: &[&Judged],
    applied: &mut Applied,
) -> Result<(), JobError> {
    if keep.is_empty() {
        return Ok(());
    }
    statements::postpone(batch.db()?, keep, ctx)
        .await
        .map_err(context("postpone orders"))?;
    for order in keep {
        let id = order.order_id;
        match order.outcome {
            Outcome::Paid | Outcome::Authorized => applied.paid.push(id),
            _ => applied.deferred.push(id),
        }
        if matches!(
            order.outcome,
            Outcome::Missing | Outcome::Error | Outcome::Denied
        ) || order.is_stuck
        {
            let error = order.error.clone().unwrap_or_default();
            applied.errors.push(OrderError {
                order_id: id,
                error,
            });
        }
    }
    statements::note_paid(batch.db()?, &applied.paid, ctx)
        .await
        .map_err(context("note paid orders"))?;
    let raised: Vec<Alert> = keep.iter().filter_map(|order| alert_for(order)).collect();
    applied.alerts_opened = alerts::open(batch.db()?, &raised, ctx.now)
        .await
        .map_err(context("open alerts"))?;
    Ok(())
}

/// Resolves the alerts, and drops the notes, of orders the shop has settled.
pub(super) async fn forget_settled(
    batch: &mut Batch<'_>,
    now: DateTime<Utc>,
) -> Result<(), JobError> {
    alerts::resolve_for_orders_no_longer(batch.db()?, &UNPAID, &KINDS, now)
        .await
        .map_err(context("resolve alerts"))?;
    statements::forget_settled(batch.db()?)
        .await
        .map_err(context("forget settled orders"))
}

/// The alert an order that stays deserves, if any.
fn alert_for(order: &Judged) -> Option<Alert> {
    let (kind, severity, title, action) = match order.outcome {
        _ if order.is_stuck => (
            KINDS[2],
            "high",
            "An unpaid order cannot be expired: its rows are refused by the database",
            "Compare stock_levels.reserved with the ACTIVE reservations of this order, and mend the difference.",
        ),
        Outcome::Error => (
            KINDS[2],
            "high",
            "An unpaid order cannot be expired: Stripe refuses to end its payment intent",
            "Read Stripe's words in the details, and look the intent up in Stripe's dashboard.",
        ),
        Outcome::Paid | Outcome::Authorized => (
            KINDS[0],
            "high",
            "An order is paid at Stripe but unpaid here",
            "Settle the order in the shop; a webhook of Stripe was lost or failed.",
        ),
        Outcome::Missing => (
            KINDS[1],
            "warning",
            "A payment intent of an unpaid order is unknown to Stripe",
            "Check that STRIPE_SECRET_KEY belongs to the account and mode the order was made in.",
        ),
        _ => return None,
    };
    Some(Alert {
        kind,
        severity,
        about: About::Order(order.order_id),
        title: title.to_owned(),
        details: json!({ "outcome": order.outcome.name(), "error": order.error }),
        recommended_actions: json!([action]),
    })
}
