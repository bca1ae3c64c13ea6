//! Asks Stripe about stale intents, and ends those that may be ended.
//!
//! No lock and no transaction is held while Stripe is asked. Right before each
//! cancel our own rows are looked at again, so that an order that was given
//! more time, or an intent that was settled meanwhile, is not touched.

use futures::{FutureExt, StreamExt};

use super::rows::{self, StaleRow};
use crate::engine::JobContext;
use crate::shop::payment_intents::verdict::may_end_stale;
use crate::shop::payment_intents::{self, AT_ONCE, Breaker, End, IntentReport};

/// What Stripe says about each intent, after ending those that may be ended.
/// Intents that Stripe could not be asked about any more, because the budget
/// was spent or the breaker tripped, are left out.
pub(super) async fn end_stale(
    ctx: &JobContext,
    stale: Vec<StaleRow>,
    breaker: &Breaker,
) -> Vec<IntentReport> {
    let settled = futures::stream::iter(stale)
        .map(|row| settle(ctx, row, breaker))
        .buffer_unordered(AT_ONCE);
    let mut reports: Vec<IntentReport> = settled.filter_map(std::future::ready).collect().await;
    let health = breaker.health();
    for report in &mut reports {
        report.distrust(health);
    }
    reports
}

async fn settle(ctx: &JobContext, row: StaleRow, breaker: &Breaker) -> Option<IntentReport> {
    let order_has_ended = row.order_has_ended;
    let mut report = payment_intents::fetch(ctx, row.intent(), breaker).await?;
    if !may_end_stale(&report.state, order_has_ended) {
        return Some(report);
    }
    let before = report.clone();
    let look = || rows::may_still_end(ctx, &before);
    let last_look = || payment_intents::look(look).boxed();
    match payment_intents::end(ctx, &mut report, breaker, &last_look).await {
        End::Tried | End::Withdrawn => Some(report),
        End::NoTime => None,
    }
}
