//! Reads and ends intents at Stripe, within the run's budget.
//!
//! No lock and no transaction is held here. An answer that comes too late is
//! none, so that what was said before is not lost with it.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use tokio::time::timeout;

use super::breaker::Call;
use super::{Breaker, IntentReport, IntentState, LocalIntent, Truth, proof};
use crate::database::Fault;
use crate::engine::{JobContext, JobError};
use crate::foreign_text::ForeignText;
use crate::stripe::{Failure, Intent, LastLook, Session};

/// How long a last look may take, with all its repetitions.
const LOOK: Duration = Duration::from_secs(5);

/// How an attempt to end an intent went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was tried; the report says what came of it.
    Tried,
    /// The last look was against it; the report is unchanged.
    Withdrawn,
    /// There was no time; the report is unchanged.
    NoTime,
}

/// The state of one intent; `None` when there was no time to fetch it.
pub async fn fetch(
    ctx: &JobContext,
    mut intent: LocalIntent,
    breaker: &Breaker,
) -> Option<IntentReport> {
    let session = intent.checkout_session_id.as_deref();
    let answer = ask(ctx, &intent, session, breaker).await;
    if let Err(Failure::NoTime) = answer {
        return None;
    }
    if let Ok(Truth::Intent(found)) = &answer {
        intent.stripe_id = Some(found.id.clone());
    }
    Some(IntentReport {
        intent,
        state: IntentState::read(answer, false),
        was_asked: true,
        tried: false,
    })
}

/// Ends an intent that was just fetched: cancels it, or expires the session
/// that owns it. A dry run only reports it as canceled.
pub async fn end(
    ctx: &JobContext,
    report: &mut IntentReport,
    breaker: &Breaker,
    last_look: LastLook<'_>,
) -> End {
    if ctx.options.dry_run {
        report.state = IntentState::Canceled {
            reason: None,
            at: None,
            by_us: true,
        };
        return End::Tried;
    }
    let session = session(report);
    let answer = cancel(ctx, &report.intent, session, breaker, last_look).await;
    report.state = match answer {
        Err(Failure::NoTime) => return End::NoTime,
        Err(Failure::Withdrawn) => return End::Withdrawn,
        Ok(Some(truth)) => outcome(&report.state, Ok(Truth::Intent(truth)), None),
        Err(failure @ Failure::Denied { .. }) => IntentState::read(Err(failure), false),
        // An unknown session says nothing of the intent.
        Err(failure @ Failure::Missing(_)) if session.is_none() => {
            IntentState::read(Err(failure), false)
        }
        unclear => {
            let truth = if let Err(Failure::Refused {
                intent: Some(truth),
                ..
            }) = &unclear
            {
                Ok(Truth::Intent((**truth).clone()))
            } else {
                // A refusal without the truth, or an unknown outcome; or the session has ended.
                let session = session.filter(|_| unclear.is_err());
                ask(ctx, &report.intent, session, breaker).await
            };
            outcome(&report.state, truth, unclear.err())
        }
    };
    report.tried = true;
    End::Tried
}

/// A last look at our rows. A lost connection says nothing of them, and the pool
/// may hold more of those: so it is taken again. Without an answer the intent
/// stays.
pub async fn look<F>(look: impl FnMut() -> F + Send) -> bool
where
    F: Future<Output = Result<bool, JobError>> + Send,
{
    let again = ConstantBuilder::default()
        .with_delay(Duration::from_millis(20))
        .with_max_times(6);
    let looked = look
        .retry(again)
        .when(|error| error.fault() == Fault::Unreachable);
    let error = match timeout(LOOK, looked).await {
        Ok(Ok(may_end)) => return may_end,
        Ok(Err(error)) => error.to_string(),
        Err(late) => late.to_string(),
    };
    tracing::warn!(
        error,
        "Failed to look at an intent before its cancel; it stays"
    );
    false
}

/// What has become of an intent that was `before` when its cancel, which may
/// have met a `failure`, was tried.
fn outcome(
    before: &IntentState,
    truth: Result<Truth, Failure>,
    failure: Option<Failure>,
) -> IntentState {
    // A refused cancel has not ended it.
    let by_us = !matches!(failure, Some(Failure::Refused { .. }));
    let state = match (truth, &failure) {
        (Err(Failure::NoTime), Some(failure)) => return IntentState::Unclear(failure.words()),
        (truth, _) => IntentState::read(truth, by_us),
    };
    if !state.is_open() && state != *before {
        return state;
    }
    match failure {
        Some(failure @ (Failure::Refused { .. } | Failure::Missing(_))) => {
            IntentState::Refused(failure.words())
        }
        Some(failure) => IntentState::Unclear(failure.words()),
        None => IntentState::Unclear(ForeignText::new(&format!(
            "Stripe took the cancel, but says {}",
            state.status().unwrap_or_default()
        ))),
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
    last_look: LastLook<'_>,
) -> Result<Option<Intent>, Failure> {
    let (stripe, attempt) = (&ctx.stripe, intent.cancel_attempts);
    let may_begin = may_begin(ctx, breaker);
    let call = async {
        match session {
            None => stripe
                .cancel(intent.name(), attempt, &may_begin, last_look)
                .await
                .map(Some),
            Some(session) => stripe
                .expire_session(session, attempt, &may_begin, last_look)
                .await
                .map(|_| None),
        }
    };
    counted(ctx, breaker, Call::Write, call).await
}

/// What Stripe says of an intent. While its session is open, or has got another
/// intent, a customer can pay although the intent is canceled.
async fn ask(
    ctx: &JobContext,
    intent: &LocalIntent,
    session: Option<&str>,
    breaker: &Breaker,
) -> Result<Truth, Failure> {
    let Some(id) = &intent.stripe_id else {
        return ask_session(ctx, intent.name(), breaker).await;
    };
    let intent = retrieve(ctx, id, breaker).await?;
    let Some(session) = session.filter(|_| intent.status == "canceled") else {
        return Ok(Truth::Intent(intent));
    };
    match retrieve_session(ctx, session, breaker).await {
        Ok(session) if session.is_open() || session.payment_intent().is_some_and(|it| it != id) => {
            Ok(Truth::Session(session))
        }
        Ok(_) | Err(Failure::Missing(_)) => Ok(Truth::Intent(intent)),
        Err(failure) => Err(failure),
    }
}

/// What Stripe says of a row that names only a session, and of the intent that
/// this may have by now.
async fn ask_session(ctx: &JobContext, id: &str, breaker: &Breaker) -> Result<Truth, Failure> {
    let session = retrieve_session(ctx, id, breaker).await?;
    let Some(id) = session.payment_intent() else {
        return Ok(Truth::Session(session));
    };
    let intent = retrieve(ctx, id, breaker).await?;
    if intent.status == "canceled" && session.is_open() {
        return Ok(Truth::Session(session));
    }
    Ok(Truth::Intent(intent))
}

async fn retrieve_session(
    ctx: &JobContext,
    id: &str,
    breaker: &Breaker,
) -> Result<Session, Failure> {
    let may_begin = may_begin(ctx, breaker);
    let call = ctx.stripe.retrieve_session(id, &may_begin);
    counted(ctx, breaker, Call::Read, call).await
}

async fn retrieve(ctx: &JobContext, id: &str, breaker: &Breaker) -> Result<Intent, Failure> {
    let may_begin = may_begin(ctx, breaker);
    let call = ctx.stripe.retrieve(id, &may_begin);
    counted(ctx, breaker, Call::Read, call).await
}

/// Counts the answer of a call. Before the first that may be of the key and not of
/// the intent, the key is proven.
async fn counted<T>(
    ctx: &JobContext,
    breaker: &Breaker,
    kind: Call,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let answer = tokio::select! {
        answer = call => answer,
        () = ctx.budget.grace_ends() => Err(Failure::NoTime),
    };
    if let Err(Failure::Missing(_) | Failure::Refused { .. } | Failure::Denied { status: 404, .. }) =
        answer
        && !breaker.is_proven()
    {
        let prove = async || {
            tokio::select! {
                () = proof::prove(ctx, breaker) => {}
                () = ctx.budget.grace_ends() => {}
            }
        };
        breaker.proof.get_or_init(prove).await;
    }
    breaker.count(kind, &answer);
    answer
}

/// Whether a new call may begin.
pub(super) fn may_begin(ctx: &JobContext, breaker: &Breaker) -> impl Fn() -> bool + Sync {
    move || !ctx.budget.is_spent() && breaker.lets_call()
}
