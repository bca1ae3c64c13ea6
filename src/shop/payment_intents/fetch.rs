//! Reads and ends intents at Stripe, within the run's budget.
//!
//! No lock and no transaction is held here.

use futures::StreamExt;

use super::{Breaker, LocalIntent, Told, Word};
use crate::engine::JobContext;
use crate::stripe::{Failure, Intent};

/// How many are asked about at the same time; the rate limit is Stripe's own.
const AT_ONCE: usize = 8;

/// Asks about `items`, several at the same time. What there was no time for,
/// because the budget was spent or the breaker tripped, is left out.
pub async fn together<T, A, F>(ctx: &JobContext, items: Vec<T>, ask: impl Fn(T) -> F) -> Vec<A>
where
    F: Future<Output = Option<A>>,
{
    let mut told = Vec::with_capacity(items.len());
    let mut answers = futures::stream::iter(items)
        .map(ask)
        .buffer_unordered(AT_ONCE);
    let collect = async {
        while let Some(answer) = answers.next().await {
            told.extend(answer);
        }
    };
    tokio::select! {
        () = collect => {}
        () = ctx.budget.grace_ends() => {}
    }
    told
}

/// Asks about an intent that Stripe knew before: where it still does, the key
/// is of the right account. That it does not proves nothing.
pub async fn prove(ctx: &JobContext, stripe_id: &str, breaker: &Breaker) {
    let answer = ctx
        .stripe
        .retrieve(stripe_id, &may_begin(ctx, breaker))
        .await;
    if answer.is_ok() {
        breaker.count(&answer);
    }
}

/// Stripe's word on one intent; `None` when there was no time to get it.
pub async fn ask(ctx: &JobContext, intent: LocalIntent, breaker: &Breaker) -> Option<Told> {
    let answer = retrieve(ctx, &intent, breaker).await;
    if let Err(Failure::NoTime) = answer {
        return None;
    }
    Some(Told {
        intent,
        word: Word::read(answer, false),
        tried: false,
    })
}

/// Ends an intent that was just asked about: cancels it, or expires the
/// session that owns it. In a dry run it only says so. `None` when there was
/// no time; `told` stands as it was then.
pub async fn end(ctx: &JobContext, told: &mut Told, breaker: &Breaker) -> Option<()> {
    if ctx.options.dry_run {
        // The cancel of a real run is an answer too.
        breaker.count::<()>(&Ok(()));
        told.word = Word::Canceled {
            reason: None,
            at: None,
            by_us: true,
        };
        return Some(());
    }
    let session = session(told);
    let answer = cancel(ctx, &told.intent, session, breaker).await;
    told.word = match answer {
        Err(Failure::NoTime) => return None,
        Ok(Some(truth)) => outcome(&told.word, Ok(truth), None),
        Err(failure @ Failure::Denied { .. }) => Word::read(Err(failure), false),
        // An unknown session says nothing of the intent.
        Err(failure @ Failure::Missing { .. }) if session.is_none() => {
            Word::read(Err(failure), false)
        }
        unclear => {
            let truth = match &unclear {
                Err(Failure::Refused {
                    intent: Some(truth),
                    ..
                }) => Ok((**truth).clone()),
                // A refusal without the truth, or an outcome nobody knows.
                _ => retrieve(ctx, &told.intent, breaker).await,
            };
            outcome(&told.word, truth, unclear.err())
        }
    };
    told.tried = true;
    Some(())
}

/// What has become of an intent that was `before` when its cancel, which may
/// have met a `failure`, was tried.
fn outcome(before: &Word, truth: Result<Intent, Failure>, failure: Option<Failure>) -> Word {
    // Who is refused has not ended it.
    let by_us = !matches!(failure, Some(Failure::Refused { .. }));
    let word = match (truth, &failure) {
        (Err(Failure::NoTime), Some(failure)) => return Word::Unclear(failure.to_string()),
        (truth, _) => Word::read(truth, by_us),
    };
    if !word.is_open() && word != *before {
        return word;
    }
    match failure {
        Some(failure @ (Failure::Refused { .. } | Failure::Missing { .. })) => {
            Word::Refused(failure.to_string())
        }
        Some(failure) => Word::Unclear(failure.to_string()),
        None => Word::Unclear(format!(
            "Stripe took the cancel, but says {}",
            word.status().unwrap_or_default()
        )),
    }
}

/// The session by which an intent is to be ended. Money that is held is given
/// back directly: its session is complete, and cannot expire any more.
fn session(told: &Told) -> Option<&str> {
    let session = told.intent.checkout_session_id.as_deref();
    session.filter(|_| told.word != Word::RequiresCapture)
}

/// Cancels the intent or expires its session; that answers no intent.
async fn cancel(
    ctx: &JobContext,
    intent: &LocalIntent,
    session: Option<&str>,
    breaker: &Breaker,
) -> Result<Option<Intent>, Failure> {
    let attempt = intent.cancel_attempts;
    let may_begin = may_begin(ctx, breaker);
    let answer = match session {
        None => ctx
            .stripe
            .cancel(&intent.stripe_id, attempt, &may_begin)
            .await
            .map(Some),
        Some(session) => ctx
            .stripe
            .expire_session(session, attempt, &may_begin)
            .await
            .map(|()| None),
    };
    breaker.count(&answer);
    answer
}

async fn retrieve(
    ctx: &JobContext,
    intent: &LocalIntent,
    breaker: &Breaker,
) -> Result<Intent, Failure> {
    let answer = ctx
        .stripe
        .retrieve(&intent.stripe_id, &may_begin(ctx, breaker))
        .await;
    breaker.count(&answer);
    answer
}

fn may_begin(ctx: &JobContext, breaker: &Breaker) -> impl Fn() -> bool + Sync {
    move || !ctx.budget.is_spent() && breaker.check().is_ok()
}
