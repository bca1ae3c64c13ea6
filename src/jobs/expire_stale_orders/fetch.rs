//! Asks Stripe about the intents of due orders, and ends those that are open.
//!
//! No lock and no transaction is held here. Every intent of an order is read
//! before any is cancelled: an order that is paid through one intent is not
//! touched through another.

use super::verdict::{DueOrder, Judged};
use crate::engine::JobContext;
use crate::shop::payment_intents::{self, AT_ONCE, Breaker};

/// The verdict on each order. Orders that Stripe could not be asked about any
/// more, because the budget was spent or the breaker tripped, are left out.
pub(super) async fn judge(ctx: &JobContext, due: Vec<DueOrder>, breaker: &Breaker) -> Vec<Judged> {
    let fetch = |order| fetch_order(ctx, order, breaker);
    let mut judged = ctx.together(AT_ONCE, due, fetch).await;
    if breaker.check().is_err() {
        judged.iter_mut().for_each(Judged::distrust_missing);
    }
    judged
}

/// The verdict on one order; `None` when there was no time to get it.
async fn fetch_order(ctx: &JobContext, order: DueOrder, breaker: &Breaker) -> Option<Judged> {
    let mut reports = Vec::with_capacity(order.intents.len());
    for intent in order.intents {
        reports.push(payment_intents::fetch(ctx, intent, breaker).await?);
    }
    let may_end = reports
        .iter()
        .all(|report| report.state.is_open() || report.state.is_canceled());
    for report in reports.iter_mut().filter(|report| report.state.is_open()) {
        if !may_end {
            break;
        }
        payment_intents::end(ctx, report, breaker).await?;
        if !report.state.is_canceled() {
            break;
        }
    }
    Some(Judged::new(order.id, reports))
}
