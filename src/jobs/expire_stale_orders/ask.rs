//! Asks Stripe about the intents of due orders, and ends those that are open.
//!
//! No lock and no transaction is held here. Every intent of an order is read
//! before any is cancelled: an order that is paid through one intent is not
//! touched through another.

use super::verdict::{Due, Judged};
use crate::engine::JobContext;
use crate::shop::payment_intents::{self, Breaker};

/// Stripe's word on each order. Orders that nothing could be asked about any
/// more, because the budget was spent or the breaker tripped, are left out.
pub(super) async fn judge(ctx: &JobContext, due: Vec<Due>, breaker: &Breaker) -> Vec<Judged> {
    let mut judged =
        payment_intents::together(ctx, due, |order| ask_about(ctx, order, breaker)).await;
    if breaker.check().is_err() {
        judged.iter_mut().for_each(Judged::distrust_missing);
    }
    judged
}

/// Stripe's word on one order; `None` when there was no time to get it.
async fn ask_about(ctx: &JobContext, order: Due, breaker: &Breaker) -> Option<Judged> {
    let mut told = Vec::with_capacity(order.intents.len());
    for intent in order.intents {
        told.push(payment_intents::ask(ctx, intent, breaker).await?);
    }
    let may_end = told
        .iter()
        .all(|told| told.word.is_open() || told.word.is_canceled());
    for told in told.iter_mut().filter(|told| told.word.is_open()) {
        if !may_end {
            break;
        }
        payment_intents::end(ctx, told, breaker).await?;
        if !told.word.is_canceled() {
            break;
        }
    }
    Some(Judged::new(order.id, told))
}
