//! The rows of the job: which orders are due, and what a verdict changes.
//!
//! Every statement is guarded by the state it expects and bound to `cx.now`.
//! Lock order: orders by id, intents by id, stock levels by id.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::statements::{self, DueRow};
use super::verdict::{Due, Judged, LocalIntent, Outcome, Told};
use super::{BATCH, OrderError, Results, SAMPLES};
use crate::database::Unnamed;
use crate::jobs::alerts::{self, OrderAlert};
use crate::jobs::stock::release_reserved_stock;
use crate::jobs::{Batch, Cx, Finish, Stop, during};

/// The kinds of alert that end when the shop settles the order.
const KINDS: [&str; 3] = [
    "order_paid_unsettled",
    "payment_intent_missing",
    "order_expiry_stuck",
];

/// Where the walk over the due orders stands.
#[derive(Debug)]
pub(super) struct Cursor {
    after: Option<(DateTime<Utc>, Uuid)>,
    left: u64,
    finish: Finish,
}

impl Cursor {
    pub(super) fn at_the_oldest(cx: &Cx) -> Self {
        Self {
            after: None,
            left: cx.options.row_limit(),
            finish: Finish::WorkLeft,
        }
    }

    /// Done once a pick came back short, or `limit` rows were seen.
    pub(super) fn finish(&self) -> Finish {
        self.finish
    }

    /// Some of the picked orders were not looked at.
    pub(super) fn interrupted(&mut self) {
        self.finish = Finish::WorkLeft;
        self.left = 0;
    }

    /// The next due orders, with the intents that Stripe must be asked about.
    pub(super) async fn pick(&mut self, cx: &Cx) -> Result<Vec<Due>, Stop> {
        let size = cx
            .options
            .batch_size_or(BATCH)
            .min(self.left.try_into().unwrap_or(i64::MAX));
        if size == 0 {
            return Ok(Vec::new());
        }
        let mut tx = cx.reading().await?;
        let rows = statements::pick(Unnamed(&mut tx), cx, self.after, size)
            .await
            .map_err(during("pick stale orders"))?;
        self.after = rows
            .last()
            .map(|row| (row.expires_at, row.id))
            .or(self.after);
        let due = by_order(rows);
        self.left -= self.left.min(due.len() as u64);
        if due.len() < usize::try_from(size).unwrap_or(usize::MAX) || self.left == 0 {
            self.finish = Finish::Done;
        }
        Ok(due)
    }
}

/// Orders with their intents, from one row per intent.
fn by_order(rows: Vec<DueRow>) -> Vec<Due> {
    let mut due: Vec<Due> = Vec::new();
    for row in rows {
        if due.last().is_none_or(|last| last.id != row.id) {
            due.push(Due {
                id: row.id,
                intents: Vec::new(),
            });
        }
        if let (Some(last), Some(id), Some(stripe_id)) =
            (due.last_mut(), row.intent_id, row.stripe_id)
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
    cx: &Cx,
    batch: &mut Batch<'_>,
    judged: &[Judged],
) -> Result<Applied, Stop> {
    let mut applied = Applied::default();
    let ids: Vec<Uuid> = judged.iter().map(|order| order.order_id).collect();
    let unpaid = statements::lock_unpaid(batch.db()?, &ids, cx.now)
        .await
        .map_err(during("lock the orders"))?;
    let told: Vec<&Told> = judged.iter().flat_map(|order| &order.told).collect();
    if !told.is_empty() {
        applied.canceled = statements::sync_intents(batch.db()?, &told, cx)
            .await
            .map_err(during("write what Stripe said"))?;
    }
    let (expire, keep): (Vec<&Judged>, Vec<&Judged>) = judged
        .iter()
        .filter(|order| unpaid.contains(&order.order_id))
        .partition(|order| order.outcome == Outcome::Expire);
    let expire: Vec<Uuid> = expire.iter().map(|order| order.order_id).collect();
    applied.expired = statements::expire(batch.db()?, &expire, cx)
        .await
        .map_err(during("expire the orders"))?;
    applied.stock_released =
        release_reserved_stock(batch.db()?, &applied.expired, "order_expired", cx.now)
            .await
            .map_err(during("release reserved stock"))?;
    keep_orders(cx, batch, &keep, &mut applied).await?;
    Ok(applied)
}

/// Orders that stay: when they come up again, and whom it concerns.
async fn keep_orders(
    cx: &Cx,
    batch: &mut Batch<'_>,
    keep: &[&Judged],
    applied: &mut Applied,
) -> Result<(), Stop> {
    if keep.is_empty() {
        return Ok(());
    }
    statements::postpone(batch.db()?, keep, cx)
        .await
        .map_err(during("postpone orders"))?;
    for order in keep {
        let id = order.order_id;
        match order.outcome {
            Outcome::Paid | Outcome::Authorized => applied.paid.push(id),
            _ => applied.deferred.push(id),
        }
        if matches!(order.outcome, Outcome::Missing | Outcome::Error) || order.is_stuck {
            let error = order.error.clone().unwrap_or_default();
            applied.errors.push(OrderError {
                order_id: id,
                error,
            });
        }
    }
    statements::note_paid(batch.db()?, &applied.paid, cx)
        .await
        .map_err(during("note paid orders"))?;
    let raised: Vec<OrderAlert> = keep.iter().filter_map(|order| alert_for(order)).collect();
    alerts::open_for_orders(batch.db()?, &raised, cx.now)
        .await
        .map_err(during("open alerts"))?;
    Ok(())
}

/// Resolves the alerts, and drops the notes, of orders the shop has settled.
pub(super) async fn forget_settled(batch: &mut Batch<'_>, now: DateTime<Utc>) -> Result<(), Stop> {
    alerts::resolve_for_settled_orders(batch.db()?, &KINDS.map(str::to_owned), now)
        .await
        .map_err(during("resolve alerts"))?;
    statements::forget_settled(batch.db()?)
        .await
        .map_err(during("forget settled orders"))
}

/// The alert an order that stays deserves, if any.
fn alert_for(order: &Judged) -> Option<OrderAlert> {
    let (kind, severity, title, action) = match order.outcome {
        _ if order.is_stuck => (
            KINDS[2],
            "high",
            "An unpaid order cannot be expired: its rows are refused by the database",
            "Compare stock_levels.reserved with the ACTIVE reservations of this order, and mend the difference.",
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
    Some(OrderAlert {
        kind,
        severity,
        order_id: order.order_id,
        title: title.to_owned(),
        details: json!({ "outcome": order.outcome.name(), "error": order.error }),
        recommended_actions: json!([action]),
    })
}
