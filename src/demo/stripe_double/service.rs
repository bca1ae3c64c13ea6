//! The way of a call: recorded, authorized, checked, held by its key, executed, answered.
//!
//! The order is Stripe's (<https://docs.stripe.com/error-low-level>): a credential, a rate limit or
//! a parameter at fault leaves the idempotency key unused. Nothing is awaited under the lock, and a
//! caller who leaves takes the rest of the call along.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract;
use axum::http::{HeaderMap, Method, Response, Uri};
use axum::routing::{get, post};

use super::answer::{Answer, Problem, Reply};
use super::calls::Call;
use super::control;
use super::faults::{Fault, Faults, Operation};
use super::idempotency::{Hold, Keys};
use super::intents::Intents;
use super::request::Request;
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
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut request = Request::read(method, &uri, &headers, &body);
    let place = state.lock().record(&mut request);
    let reply = answer(&state, &request).await;
    if let Some(call) = state.lock().calls.get_mut(place) {
        call.status = reply.status();
    }
    reply.into_response(&request.call.request_id)
}

async fn answer(state: &Shared, request: &Request) -> Reply {
    let latency = state.lock().latency;
    pause(latency).await;
    let admitted = state.lock().admit(request);
    let (operation, fault) = match admitted {
        Ok(admitted) => admitted,
        Err(reply) => return reply,
    };
    let _hold = request.key().map(|key| Hold { state, key });
    if let Some(Fault::Hang(wait)) = fault {
        pause(wait).await;
    }
    let answer = state.lock().execute(operation, request, fault.as_ref());
    match fault {
        Some(Fault::DisconnectAfterEffect) => return Reply::Cut,
        Some(Fault::HangAfterEffect(wait)) => pause(wait).await,
        _ => (),
    }
    Reply::Answer(answer)
}

/// A sleep of nothing would still cost a turn of the timer.
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

impl State {
    /// Writes the call down and numbers it; its place in the record.
    fn record(&mut self, request: &mut Request) -> usize {
        let place = self.calls.len();
        request.call.at = Instant::now();
        request.call.request_id = format!("req_{place:014}");
        request.call.intent = match request.call.operation {
            Some(Operation::ExpireSession) => self.intents.paid_by(&request.id).map(str::to_owned),
            Some(_) => Some(request.id.clone()),
            None => None,
        };
        self.calls.push(request.call.clone());
        place
    }

    /// Lets the call through to its execution, with the fault it meets there, or answers it.
    fn admit(&mut self, request: &Request) -> Result<(Operation, Option<Fault>), Reply> {
        self.authorize(request.bearer.as_deref())?;
        let call = &request.call;
        let Some(operation) = call.operation else {
            let message = format!("Unrecognized request URL ({}: {}).", call.method, call.path);
            return Err(Problem::new(404, None, &message).into());
        };
        let ids = [Some(&request.id), call.intent.as_ref()];
        if let Some(fault) = self.faults.take(operation, &ids, Fault::strikes_first) {
            return Err(fault.answer(None).map_or(Reply::Cut, Reply::Answer));
        }
        request.check(operation)?;
        if let Some(key) = request.key() {
            self.keys.hold(key, call)?;
        }
        Ok((operation, self.faults.take(operation, &ids, |_| true)))
    }

    /// <https://docs.stripe.com/api/authentication>
    fn authorize(&self, bearer: Option<&str>) -> Result<(), Problem> {
        let Some(bearer) = bearer else {
            let message = "No API key: send one as Authorization: Bearer sk_….";
            return Err(Problem::new(401, None, message));
        };
        let rest = bearer
            .strip_prefix("sk_")
            .or_else(|| bearer.strip_prefix("rk_"));
        let accepted = match &self.only_key {
            Some(key) => key == bearer,
            None => rest.is_some_and(|rest| !rest.trim().is_empty()),
        };
        if accepted {
            Ok(())
        } else {
            Err(Problem::new(401, None, "Invalid API key."))
        }
    }

    /// Does what was asked, or what the fault says instead, and stores the result under the key.
    fn execute(
        &mut self,
        operation: Operation,
        request: &Request,
        fault: Option<&Fault>,
    ) -> Answer {
        let intent = request.call.intent.as_deref().unwrap_or_default();
        let turn = match fault {
            Some(Fault::PaidMeanwhile) => Some("succeeded"),
            Some(Fault::BecomesProcessing) => Some("processing"),
            _ => None,
        };
        // What is canceled can no longer be paid.
        if let Some(status) = turn.filter(|_| self.intents.status(intent) != Some("canceled")) {
            self.intents.set_status(intent, status);
        }
        let scripted = fault.and_then(|fault| fault.answer(self.intents.body(intent)));
        let answer = scripted.unwrap_or_else(|| match operation {
            Operation::Retrieve => self.intents.retrieve(intent),
            Operation::Cancel => self
                .intents
                .cancel(intent, request.param("cancellation_reason")),
            Operation::ExpireSession => self.intents.expire(&request.id),
        });
        if let Some(key) = request.key() {
            self.keys.settle(key, &request.call.request_id, &answer);
        }
        answer
    }
}
