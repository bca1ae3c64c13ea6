//! The way of a call: recorded, authorized, checked, held by its key, executed, answered.
//!
//! The order is Stripe's (<https://docs.stripe.com/error-low-level>): a credential, a rate limit or
//! a parameter at fault leaves the idempotency key unused. Nothing is awaited under the lock, and a
//! caller who leaves takes the rest of the call along.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract;
use axum::http::Response;
use axum::routing::{get, post};

use super::answer::{Answer, Reply};
use super::call::Call;
use super::control;
use super::faults::{Fault, Faults, Operation};
use super::idempotency::{Hold, Keys};
use super::intents::{Intents, missing};
use crate::demo::double;

/// The double's state, shared by its owner and all connections.
pub(super) type Shared = double::Shared<State>;

/// Everything the double knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) intents: Intents,
    pub(super) faults: Faults,
    pub(super) keys: Keys,
    pub(super) calls: Vec<Call>,
    pub(super) only_key: Option<String>,
    pub(super) latency: Duration,
}

/// The double's own URLs; all others are treated as Stripe's.
pub(super) fn router(state: Shared) -> Router {
    Router::new()
        .route("/_double/payment_intents", get(control::list))
        .route(
            "/_double/payment_intents/{id}/status",
            post(control::set_status),
        )
        .fallback(serve)
        .with_state(state)
}

async fn serve(
    extract::State(state): extract::State<Shared>,
    arrived: double::Call,
) -> Response<Body> {
    let call = state.lock().record(Call::read(&arrived));
    let reply = answer(&state, &call, arrived.bearer()).await;
    reply
        .unwrap_or_else(|reply| reply)
        .into_response(&call.request_id)
}

/// The answer; an `Err` is that of a call that is not executed, or whose answer is lost.
async fn answer(state: &Shared, call: &Call, bearer: Option<&str>) -> Result<Reply, Reply> {
    let latency = state.lock().latency;
    pause(latency).await;
    let admitted = state.lock().admit(call, bearer);
    let (operation, fault) = admitted?;
    let _hold = call.key().map(|key| Hold { state, key });
    if let Some(Fault::Hang(wait)) = fault {
        pause(wait).await;
    }
    let answer = state.lock().execute(operation, call, fault.as_ref());
    match fault {
        Some(Fault::DisconnectAfterEffect) => return Err(Reply::Cut),
        Some(Fault::HangAfterEffect(wait)) => pause(wait).await,
        _ => (),
    }
    Ok(Reply::Answer(answer))
}

/// A sleep of nothing would still cost a turn of the timer.
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

impl State {
    /// Numbers the call and writes it down.
    fn record(&mut self, mut call: Call) -> Call {
        call.request_id = format!("req_{:014}", self.calls.len());
        call.intent = match call.operation {
            Some(Operation::RetrieveSession | Operation::ExpireSession) => {
                self.intents.paid_by(&call.id).map(str::to_owned)
            }
            Some(_) => Some(call.id.clone()),
            None => None,
        };
        self.calls.push(call.clone());
        call
    }

    /// Lets the call through to its execution, with the fault it meets there, or answers it.
    fn admit(
        &mut self,
        call: &Call,
        bearer: Option<&str>,
    ) -> Result<(Operation, Option<Fault>), Reply> {
        self.authorize(bearer)?;
        let Some(operation) = call.operation else {
            let message = format!("Unrecognized request URL ({}: {}).", call.method, call.path);
            return Err(Answer::error(404, None, &message).into());
        };
        let is_its = |id: &String| *id == call.id || Some(id) == call.intent.as_ref();
        let concerns = |(known, id): &(Operation, Option<String>)| {
            *known == operation && id.as_ref().is_none_or(is_its)
        };
        if let Some(fault) = self.faults.take_if(concerns, Fault::strikes_first) {
            return Err(fault.reply());
        }
        call.check(operation)?;
        if let Some(key) = call.key() {
            self.keys.hold(key, call)?;
        }
        Ok((operation, self.faults.take(concerns)))
    }

    /// <https://docs.stripe.com/api/authentication>
    fn authorize(&self, bearer: Option<&str>) -> Result<(), Answer> {
        let is_good = |bearer: &str| match &self.only_key {
            Some(key) => key == bearer,
            None => ["sk_", "rk_"]
                .iter()
                .filter_map(|prefix| bearer.strip_prefix(prefix))
                .any(|rest| !rest.trim().is_empty()),
        };
        let message = match bearer {
            Some(bearer) if is_good(bearer) => return Ok(()),
            Some(_) => "Invalid API key.",
            None => "No API key: send one as Authorization: Bearer sk_….",
        };
        Err(Answer::error(401, None, message))
    }

    /// Does what was asked, or what the fault says instead, and stores the result under the key.
    fn execute(&mut self, operation: Operation, call: &Call, fault: Option<&Fault>) -> Answer {
        let intent = call.intent.as_deref().unwrap_or_default();
        let is_expanded = call.param("expand[]") == Some("payment_intent");
        let scripted = match fault {
            Some(Fault::Becomes(status)) => {
                self.intents.overtake(intent, &call.id, status);
                None
            }
            Some(Fault::OtherMode) => Some(in_other_mode(operation, &call.id)),
            Some(Fault::About(other)) => self.intents.about(operation, other),
            Some(fault) => fault.answer(self.intents.body(intent)),
            None => None,
        };
        let answer = scripted.unwrap_or_else(|| match operation {
            Operation::Retrieve => self.intents.retrieve(intent),
            Operation::Cancel => {
                let reason = call.param("cancellation_reason");
                self.intents.cancel(intent, reason)
            }
            Operation::RetrieveSession => self.intents.retrieve_session(&call.id, is_expanded),
            Operation::ExpireSession => self.intents.expire(&call.id, is_expanded),
        });
        if let Some(key) = call.key() {
            self.keys.settle(key, &call.request_id, &answer);
        }
        answer
    }
}

/// 404 for an id that is known in the other mode than the key's.
fn in_other_mode(operation: Operation, id: &str) -> Answer {
    let hint = "; a similar object exists in live mode, but a test mode key was used to make this \
                request.";
    missing(operation, id, hint)
}
