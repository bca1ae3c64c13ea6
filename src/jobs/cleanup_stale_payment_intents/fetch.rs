//! Asks Stripe about stale intents, and ends those that may be ended.
//!
//! No lock and no transaction is held while Stripe is asked. Every intent of
//! a batch is read first; then our own rows are read again, all at once, so
//! that an order that was given more time, or an intent that was settled
//! meanwhile, is not touched; only then is anything canceled.

use std::collections::HashMap;

use super::rows;
use crate::engine::{JobContext, JobError};
use crate::shop::payment_intents::{
    self, AT_ONCE, Breaker, IntentReport, IntentState, LocalIntent,
};

/// What Stripe says about each intent, after ending those that may be ended.
/// Intents that Stripe could not be asked about any more, because the budget
/// was spent or the breaker tripped, are left out.
pub(super) async fn end_stale(
    ctx: &JobContext,
    stale: Vec<LocalIntent>,
    breaker: &Breaker,
) -> Result<Vec<IntentReport>, JobError> {
    // The intent that Stripe was last known to know proves the key, so that any number of intents
    // it does not know are no reason to stop.
    if breaker.takes_doubt()
        && let Some(known) = rows::known_to_stripe(ctx).await?
    {
        payment_intents::prove(ctx, &known, breaker).await;
    }
    let fetch = |intent| payment_intents::fetch(ctx, intent, breaker);
    let fetched = ctx.together(AT_ONCE, stale, fetch).await;
    let (ending, mut reports) = divide(ctx, fetched).await?;
    let end = async |mut report| {
        payment_intents::end(ctx, &mut report, breaker).await?;
        Some(report)
    };
    reports.extend(ctx.together(AT_ONCE, ending, end).await);
    if breaker.check().is_err() {
        reports.iter_mut().for_each(IntentReport::distrust_missing);
    }
    Ok(reports)
}

/// Those to be ended, and those to be left as Stripe has them. An intent that
/// is still stale may be ended; money that is held only when its order has
/// ended.
async fn divide(
    ctx: &JobContext,
    fetched: Vec<IntentReport>,
) -> Result<(Vec<IntentReport>, Vec<IntentReport>), JobError> {
    let (unsettled, settled): (Vec<IntentReport>, Vec<IntentReport>) = fetched
        .into_iter()
        .partition(|it| it.state.is_open() || it.state == IntentState::RequiresCapture);
    let order_has_ended = match unsettled.as_slice() {
        [] => HashMap::new(),
        unsettled => rows::still_stale(ctx, unsettled).await?,
    };
    let (ending, left): (Vec<IntentReport>, Vec<IntentReport>) =
        unsettled.into_iter().partition(|report| {
            let ended = order_has_ended.get(&report.intent.id);
            ended.is_some_and(|ended| *ended || report.state.is_open())
        });
    Ok((ending, left.into_iter().chain(settled).collect()))
}
