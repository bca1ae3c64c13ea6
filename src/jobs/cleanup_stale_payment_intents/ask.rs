//! Asks Stripe about stale intents, and ends those that may be ended.
//!
//! No lock and no transaction is held while Stripe is asked. Every intent of
//! a batch is read first; then our own rows are read again, all at once, so
//! that an order that was given more time, or an intent that was settled
//! meanwhile, is not touched; only then is anything canceled.

use std::collections::HashMap;

use uuid::Uuid;

use super::rows;
use crate::engine::{JobContext, JobError};
use crate::shop::payment_intents::{self, Breaker, LocalIntent, Told, Word};

/// Stripe's word on each intent. Those that nothing could be asked about any
/// more, because the budget was spent or the breaker tripped, are left out.
pub(super) async fn judge(
    ctx: &JobContext,
    stale: Vec<LocalIntent>,
    breaker: &Breaker,
) -> Result<Vec<Told>, JobError> {
    if breaker.takes_doubt() {
        prove(ctx, breaker).await?;
    }
    let asked = payment_intents::together(ctx, stale, |intent| {
        payment_intents::ask(ctx, intent, breaker)
    })
    .await;
    let (ending, mut told) = divide(ctx, asked).await?;
    let ended = payment_intents::together(ctx, ending, |told| end(ctx, told, breaker)).await;
    told.extend(ended);
    if breaker.check().is_err() {
        told.iter_mut().for_each(Told::distrust_missing);
    }
    Ok(told)
}

/// Has the key proven by the intent that Stripe was last known to know, so
/// that any number of intents it does not know are no reason to stop.
async fn prove(ctx: &JobContext, breaker: &Breaker) -> Result<(), JobError> {
    if let Some(known) = rows::known_to_stripe(ctx).await? {
        payment_intents::prove(ctx, &known, breaker).await;
    }
    Ok(())
}

/// Those to be ended, and those to be left as Stripe has them.
async fn divide(ctx: &JobContext, asked: Vec<Told>) -> Result<(Vec<Told>, Vec<Told>), JobError> {
    let (unsettled, told): (Vec<Told>, Vec<Told>) = asked
        .into_iter()
        .partition(|told| told.word.is_open() || told.word == Word::RequiresCapture);
    let order_has_ended = match unsettled.as_slice() {
        [] => HashMap::new(),
        unsettled => rows::still_stale(ctx, unsettled).await?,
    };
    let (ending, left): (Vec<Told>, Vec<Told>) = unsettled
        .into_iter()
        .partition(|told| may_end(told, &order_has_ended));
    Ok((ending, left.into_iter().chain(told).collect()))
}

/// Whether an intent that is still stale may be ended: money that is held
/// only when its order has ended.
fn may_end(told: &Told, order_has_ended: &HashMap<Uuid, bool>) -> bool {
    let ended = order_has_ended.get(&told.intent.id);
    ended.is_some_and(|ended| *ended || told.word.is_open())
}

async fn end(ctx: &JobContext, mut told: Told, breaker: &Breaker) -> Option<Told> {
    payment_intents::end(ctx, &mut told, breaker).await?;
    Some(told)
}
