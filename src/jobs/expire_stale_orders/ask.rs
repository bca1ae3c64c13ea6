//! Asks Stripe about the intents of due orders, and ends those that are open.
//!
//! No lock and no transaction is held here. Every intent of an order is read
//! before any is cancelled: an order that is paid through one intent is not
//! touched through another.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::StreamExt;

use super::verdict::{Due, Judged, LocalIntent, Told, Word};
use crate::jobs::{Cx, Stop};
use crate::stripe::{Failure, Intent};

/// Orders asked about at the same time; the rate limit is Stripe's own.
const AT_ONCE: usize = 8;
/// So many failures in a row that nothing else will go better.
const IN_A_ROW: u32 = 5;

/// Counts failures in a row, and stops the run when they are no accident.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    denied: AtomicU32,
    unreachable: AtomicU32,
}

impl Breaker {
    /// # Errors
    /// After five answers of 401, 403 or 404 in a row, or five calls in a
    /// row that got no answer at all.
    pub(super) fn check(&self) -> Result<(), Stop> {
        if self.denied.load(Ordering::Relaxed) >= IN_A_ROW {
            return Err(Stop::Failed(anyhow::anyhow!(
                "Stripe answered 401, 403 or 404 {IN_A_ROW} times in a row: is STRIPE_SECRET_KEY \
                 of the right account and mode (test or live), and may it write PaymentIntents?"
            )));
        }
        if self.unreachable.load(Ordering::Relaxed) >= IN_A_ROW {
            return Err(Stop::Unreachable(anyhow::anyhow!(
                "Stripe gave no answer {IN_A_ROW} times in a row"
            )));
        }
        Ok(())
    }

    /// Counts one answer; once tripped, it stays so.
    fn count(&self, answer: Result<(), &Failure>) {
        if self.check().is_err() {
            return;
        }
        let (denied, unreachable) = match answer {
            Err(Failure::NoTime) => return,
            Err(Failure::Denied { .. } | Failure::Missing { .. }) => (true, false),
            Err(Failure::Unreachable { .. }) => (false, true),
            _ => (false, false),
        };
        let step = |counter: &AtomicU32, failed| {
            if failed {
                counter.fetch_add(1, Ordering::Relaxed);
            } else {
                counter.store(0, Ordering::Relaxed);
            }
        };
        step(&self.denied, denied);
        step(&self.unreachable, unreachable);
    }
}

/// Stripe's word on each order. Orders that nothing could be asked about any
/// more, because the budget was spent or the breaker tripped, are left out.
pub(super) async fn judge(cx: &Cx, due: Vec<Due>, breaker: &Breaker) -> Vec<Judged> {
    let mut judged = Vec::with_capacity(due.len());
    let mut answers = futures::stream::iter(due)
        .map(|order| async move { ask_about(cx, order, breaker).await })
        .buffer_unordered(AT_ONCE);
    let collect = async {
        while let Some(answer) = answers.next().await {
            judged.extend(answer);
        }
    };
    tokio::select! {
        () = collect => {}
        () = cx.budget.patience_ends() => {}
    }
    if breaker.check().is_err() {
        judged.iter_mut().for_each(Judged::distrust_missing);
    }
    judged
}

/// Stripe's word on one order; `None` when there was no time to get it.
async fn ask_about(cx: &Cx, order: Due, breaker: &Breaker) -> Option<Judged> {
    let mut told = Vec::with_capacity(order.intents.len());
    for intent in &order.intents {
        let answer = retrieve(cx, intent, breaker).await;
        if let Err(Failure::NoTime) = answer {
            return None;
        }
        told.push(Told {
            intent_id: intent.id,
            word: word(answer, false),
            tried: false,
        });
    }
    let may_end = told
        .iter()
        .all(|told| told.word.is_open() || told.word.is_canceled());
    for (told, intent) in told.iter_mut().zip(&order.intents) {
        if may_end && told.word.is_open() {
            end(cx, intent, told, breaker).await?;
            if !told.word.is_canceled() {
                break;
            }
        }
    }
    Some(Judged::new(order.id, told))
}

/// Ends one open intent: cancels it, or expires the session that owns it.
/// In a dry run it only says so. `None` when there was no time.
async fn end(cx: &Cx, intent: &LocalIntent, told: &mut Told, breaker: &Breaker) -> Option<()> {
    if cx.options.dry_run {
        told.word = Word::Canceled {
            reason: None,
            at: None,
            by_us: true,
        };
        return Some(());
    }
    let attempt = intent.cancel_attempts;
    let may_begin = may_begin(cx, breaker);
    let answer = match &intent.checkout_session_id {
        None => cx
            .stripe
            .cancel(&intent.stripe_id, attempt, &may_begin)
            .await
            .map(Some),
        Some(session) => cx
            .stripe
            .expire_session(session, attempt, &may_begin)
            .await
            .map(|()| None),
    };
    breaker.count(answer.as_ref().map(|_| ()));
    told.tried = !matches!(answer, Err(Failure::NoTime));
    told.word = match answer {
        Ok(Some(intent)) => word(Ok(intent), true),
        Err(Failure::Refused {
            intent: Some(truth),
            ..
        }) => word(Ok(*truth), true),
        Err(failure @ (Failure::Denied { .. } | Failure::Missing { .. })) => {
            word(Err(failure), true)
        }
        Err(Failure::NoTime) => return None,
        // A refusal without the truth, or an outcome nobody knows.
        unclear => match retrieve(cx, intent, breaker).await {
            Ok(truth) if truth.status == "canceled" => word(Ok(truth), true),
            Ok(truth) => match (word(Ok(truth), false), unclear) {
                (Word::Unsettled { .. }, Err(Failure::Refused { message, .. })) => {
                    Word::Refused(message)
                }
                (Word::Unsettled { status, .. }, Err(failure)) => Word::Unsettled {
                    status,
                    why: failure.to_string(),
                },
                (word, _) => word,
            },
            Err(failure) => word(Err(failure), false),
        },
    };
    Some(())
}

async fn retrieve(cx: &Cx, intent: &LocalIntent, breaker: &Breaker) -> Result<Intent, Failure> {
    let answer = cx
        .stripe
        .retrieve(&intent.stripe_id, &may_begin(cx, breaker))
        .await;
    breaker.count(answer.as_ref().map(|_| ()));
    answer
}

fn may_begin(cx: &Cx, breaker: &Breaker) -> impl Fn() -> bool + Sync {
    move || !cx.budget.is_spent() && breaker.check().is_ok()
}

/// Reads an answer as a word on the order.
fn word(answer: Result<Intent, Failure>, by_us: bool) -> Word {
    match answer {
        Ok(intent) => match intent.status.as_str() {
            "canceled" => Word::Canceled {
                reason: intent.cancellation_reason,
                at: intent.canceled_at,
                by_us,
            },
            "succeeded" => Word::Succeeded,
            "requires_capture" => Word::RequiresCapture,
            "processing" => Word::Processing,
            "requires_payment_method" | "requires_confirmation" | "requires_action" => {
                Word::Unsettled {
                    why: format!("Stripe says {}", intent.status),
                    status: Some(intent.status),
                }
            }
            unknown => Word::Refused(format!("Stripe says {unknown:?}, a status we do not know")),
        },
        Err(Failure::Missing { message }) => Word::Missing(message),
        Err(failure @ Failure::Refused { .. }) => Word::Refused(failure.to_string()),
        Err(failure @ Failure::Denied { .. }) => Word::Denied(failure.to_string()),
        Err(failure) => Word::Unsettled {
            status: None,
            why: failure.to_string(),
        },
    }
}

impl Word {
    /// Whether the intent waits for the customer, and so may be ended.
    fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Unsettled {
                status: Some(_),
                ..
            }
        )
    }

    fn is_canceled(&self) -> bool {
        matches!(self, Self::Canceled { .. })
    }
}
