//! Reads and ends intents at Stripe, within the run's budget.
//!
//! No lock and no transaction is held here.

use super::{Breaker, IntentReport, IntentState, LocalIntent};
use crate::engine::JobContext;
use crate::stripe::{Failure, Intent};

/// Fetches an intent that Stripe knew before: when it still does, the key is
/// of the right account. When it does not, that proves nothing.
pub async fn prove(ctx: &JobContext, stripe_id: &str, breaker: &Breaker) {
    let answer = ctx
        .stripe
        .retrieve(stripe_id, &may_begin(ctx, breaker))
        .await;
    if answer.is_ok() {
        breaker.count(&answer);
    }
}

/// The state of one intent; `None` when there was no time to fetch it.
pub async fn fetch(
    ctx: &JobContext,
    intent: LocalIntent,
    breaker: &Breaker,
) -> Option<IntentReport> {
    let answer = retrieve(ctx, &intent, breaker).await;
    if let Err(Failure::NoTime) = answer {
        return None;
    }
    Some(IntentReport {
        intent,
        state: IntentState::read(answer, false),
        tried: false,
    })
}

/// Ends an intent that was just fetched: cancels it, or expires the session
/// that owns it. A dry run only reports it as canceled. `None` when there was
/// no time; `report` is unchanged then.
pub async fn end(ctx: &JobContext, report: &mut IntentReport, breaker: &Breaker) -> Option<()> {
    if ctx.options.dry_run {
        // The cancel of a real run is an answer too.
        breaker.count::<()>(&Ok(()));
        report.state = IntentState::Canceled {
            reason: None,
            at: None,
            by_us: true,
        };
        return Some(());
    }
    let session = session(report);
    let answer = cancel(ctx, &report.intent, session, breaker).await;
    report.state = match answer {
        Err(Failure::NoTime) => return None,
        Ok(Some(truth)) => outcome(&report.state, Ok(truth), None),
        Err(failure @ Failure::Denied { .. }) => IntentState::read(Err(failure), false),
        // An unknown session says nothing of the intent.
        Err(failure @ Failure::Missing(_)) if session.is_none() => {
            IntentState::read(Err(failure), false)
        }
        unclear => {
            let truth = match &unclear {
                Err(Failure::Refused {
                    intent: Some(truth),
                    ..
                }) => Ok((**truth).clone()),
                // A refusal without the truth, or an unknown outcome.
                _ => retrieve(ctx, &report.intent, breaker).await,
            };
            outcome(&report.state, truth, unclear.err())
        }
    };
    report.tried = true;
    Some(())
}

/// What has become of an intent that was `before` when its cancel, which may
/// have met a `failure`, was tried.
fn outcome(
    before: &IntentState,
    truth: Result<Intent, Failure>,
    failure: Option<Failure>,
) -> IntentState {
    // A refused cancel has not ended it.
    let by_us = !matches!(failure, Some(Failure::Refused { .. }));
    let state = match (truth, &failure) {
        (Err(Failure::NoTime), Some(failure)) => return IntentState::Unclear(failure.to_string()),
        (truth, _) => IntentState::read(truth, by_us),
    };
    if !state.is_open() && state != *before {
        return state;
    }
    match failure {
        Some(failure @ (Failure::Refused { .. } | Failure::Missing(_))) => {
            IntentState::Refused(failure.to_string())
        }
        Some(failure) => IntentState::Unclear(failure.to_string()),
        None => IntentState::Unclear(format!(
            "Stripe took the cancel, but says {}",
            state.status().unwrap_or_default()
        )),
    }
}

/// The session by which an intent is to be ended. Money that is held is given
/// back directly: its session is complete, and cannot expire any more.
fn session(report: &IntentReport) -> Option<&str> {
    let session = report.intent.checkout_session_id.as_deref();
    session.filter(|_| report.state != IntentState::RequiresCapture)
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
