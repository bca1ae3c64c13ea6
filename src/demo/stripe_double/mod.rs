//! A stateful stand-in for the part of Stripe this service talks to, for the demo and the tests.
//!
//! It owns payment intents and Checkout sessions in memory, and answers reading, canceling
//! and expiring them on a loopback port as docs.stripe.com says Stripe does, idempotency keys
//! included. It promises that nothing happens to an intent unless a call, a scripted [`Fault`] or
//! its owner made it happen, and that every call is on record.
//! It creates no payments, sends no webhooks, limits no rates by itself, forgets no idempotency key
//! and expands `payment_intent` of a session alone; what Stripe does beyond its documentation it cannot know.

mod answer;
mod call;
mod control;
mod faults;
mod idempotency;
mod intents;
mod object;
mod service;
mod session;

use std::collections::HashMap;
use std::time::Duration;

pub use call::Call;
pub use faults::{Fault, Operation};
pub use object::Intent;
use service::State;
pub use session::Session;

use super::double::Double;

/// A running double. It stops listening when this value is dropped.
#[derive(Debug)]
pub struct StripeDouble(Double<State>);

impl StripeDouble {
    /// Starts a double on a free port of 127.0.0.1; fails when there is none.
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self(Double::start("Stripe", service::router).await?))
    }

    /// The base address to use in place of `https://api.stripe.com`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Accepts this key alone; before, every `sk_…` and `rk_…` key is good.
    pub fn only_key(&self, key: &str) {
        self.0.state().only_key = Some(key.to_owned());
    }

    /// Lets every later call take this much longer, refused ones included.
    pub fn latency(&self, latency: Duration) {
        self.0.state().latency = latency;
    }

    /// Whether an intent in `processing` can be canceled; at first it cannot.
    /// Stripe does it "in rare cases" only (<https://docs.stripe.com/api/payment_intents/cancel>).
    pub fn cancel_while_processing(&self, allowed: bool) {
        self.0.state().intents.cancel_while_processing = allowed;
    }

    /// Adds an intent, in place of any other of this id.
    pub fn add(&self, intent: Intent) {
        self.add_all([intent]);
    }

    /// Adds many intents at once.
    pub fn add_all(&self, intents: impl IntoIterator<Item = Intent>) {
        let mut state = self.0.state();
        for intent in intents {
            state.intents.add(intent);
        }
    }

    /// Adds a Checkout session, in place of any other of this id; its intent, if it has one, must be
    /// there. An intent that names its session brings one along, and needs none added.
    pub fn add_session(&self, session: Session) {
        self.0.state().intents.add_session(session);
    }

    /// Moves an intent to a status, as its customer or Stripe itself would; any text is accepted, so
    /// that unknown ones can be tested. False when there is no such intent.
    #[expect(
        clippy::must_use_candidate,
        reason = "moving the intent is what it is called for"
    )]
    pub fn set_status(&self, id: &str, status: &str) -> bool {
        self.0.state().intents.set_status(id, status)
    }

    /// The customer pays through this intent, or this open session that has none yet, and comes as
    /// far as this status. False when it was canceled or expired before.
    #[must_use]
    pub fn pay(&self, id: &str, status: &str) -> bool {
        self.0.state().intents.overtake(id, id, status)
    }

    /// The status of an intent.
    #[must_use]
    pub fn status(&self, id: &str) -> Option<String> {
        self.0.state().intents.status(id).map(str::to_owned)
    }

    /// The status of a Checkout session: `open`, `complete` or `expired`.
    #[must_use]
    pub fn session_status(&self, id: &str) -> Option<String> {
        self.0.state().intents.session_status(id).map(str::to_owned)
    }

    /// Queues a fault for this operation on this intent; each is for one call, first in, first out.
    /// A session is named by its own id or by its intent's.
    pub fn fault(&self, operation: Operation, id: &str, fault: Fault) {
        let key = (operation, Some(id.to_owned()));
        self.0.state().faults.queue(key, fault);
    }

    /// A fault for every later call of this operation that has no queued one.
    pub fn always(&self, operation: Operation, fault: Fault) {
        let mut state = self.0.state();
        state.faults.stand((operation, None), Some(fault));
    }

    /// Forgets all scripted faults; calls that already met theirs are not rescued.
    pub fn clear_faults(&self) {
        self.0.state().faults = faults::Faults::default();
    }

    /// Every call so far, in the order they arrived.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.0.state().calls.clone()
    }

    /// How many times a call canceled this intent, directly or by expiring its session. More than
    /// one would be the double's own fault, or a test re-opened it with [`Self::set_status`].
    #[must_use]
    pub fn effective_cancels(&self, id: &str) -> usize {
        self.cancel_effects().get(id).copied().unwrap_or(0)
    }

    /// The intents that were canceled by a call, and how many times.
    #[must_use]
    pub fn cancel_effects(&self) -> HashMap<String, usize> {
        self.0.state().intents.cancel_effects()
    }

    /// The highest number in [`Self::cancel_effects`], 0 when nothing was canceled.
    #[must_use]
    pub fn max_effective_cancels(&self) -> usize {
        self.cancel_effects().into_values().max().unwrap_or(0)
    }
}
