//! A stand-in for the part of QStash this service talks to, for the demo and the tests.
//!
//! It owns schedules and messages in memory, and answers QStash's REST API on a loopback port as
//! upstash.com/docs/qstash says QStash does: a schedule is replaced as a whole, a message is
//! deduplicated by its id, a token may be read-only or of another region. Given a [`Courier`], it
//! delivers, retries and calls back. It promises that every call is on record, headers
//! included. It fires no schedule by itself, because a test must not wait for a clock, and what
//! QStash does beyond its documentation it cannot know.

mod callback;
mod courier;
mod keys;
mod message;
mod messages;
mod schedules;
mod service;

use std::time::Duration;

use serde_json::Value;

pub use super::double::Call;
use super::double::{Double, Faults};
pub use courier::Courier;
pub use keys::Keys;
pub use message::{Attempt, Draft, Fate, Message};
use service::State;

/// The token that may do everything.
pub const TOKEN: &str = "double-token-that-may-do-everything";
/// The token that may only read.
pub const READ_ONLY_TOKEN: &str = "double-token-that-may-only-read";
/// A good token, of another region.
pub const ELSEWHERE_TOKEN: &str = "double-token-of-another-region";

/// A running double. It stops listening when this value is dropped.
#[derive(Debug)]
pub struct QstashDouble(Double<State>);

/// A way for a call to fail.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status with an error, and nothing happens.
    Status(u16),
    /// This status with an error, although what was asked has been done.
    StatusAfterEffect(u16),
    /// The call is handled only after this long, and not at all if its caller has left by then.
    Hang(Duration),
    /// The call takes effect at once, its answer comes this much later.
    HangAfterEffect(Duration),
    /// The connection is closed without an answer; nothing happened.
    Disconnect,
    /// The call takes effect, then the connection is closed without an answer.
    DisconnectAfterEffect,
    /// These entries of a batch, counted from 0, fail, the others do not.
    Entries(Vec<usize>),
}

impl QstashDouble {
    /// Starts a double on a free port of 127.0.0.1; fails when there is none.
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self(Double::start("QStash", service::router).await?))
    }

    /// The base address to use in place of `https://qstash.upstash.io`.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Every call so far, in the order they arrived, refused ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.0.state().calls.clone()
    }

    /// Queues a fault for the next call with this method whose path contains this; each is for one
    /// call, first in, first out.
    pub fn fault(&self, method: &str, path: &str, fault: Fault) {
        self.0.state().faults.queue(key(method, path), fault);
    }

    /// A fault for every call with this method whose path contains this and that has no queued one.
    pub fn always(&self, method: &str, path: &str, fault: Fault) {
        self.0.state().faults.stand(key(method, path), Some(fault));
    }

    /// Forgets all scripted faults.
    pub fn clear_faults(&self) {
        self.0.state().faults = Faults::default();
    }

    /// A schedule as it is listed now.
    #[must_use]
    pub fn schedule(&self, id: &str) -> Option<Value> {
        self.0.state().schedules.get(id)
    }

    /// Lists this from now on, whatever is kept: for what QStash may list one day.
    pub fn list_instead(&self, list: Value) {
        self.0.state().schedules.instead = Some(list);
    }

    /// Refuses any schedule more than this many, with 412.
    pub fn allow_schedules(&self, most: usize) {
        self.0.state().schedules.most = Some(most);
    }

    /// Whether replacing a paused schedule resumes it, which is documented nowhere; at first it
    /// stays paused.
    pub fn upsert_resumes(&self, resumes: bool) {
        self.0.state().schedules.upsert_resumes = resumes;
    }

    /// Hashes redacted values with this before them, as if QStash hashed another text than the
    /// value, which is documented nowhere either.
    pub fn redact_with(&self, salt: &str) {
        salt.clone_into(&mut self.0.state().schedules.salt);
    }
}

/// The calls that a fault is for: a method, and a part of the path.
fn key(method: &str, path: &str) -> (String, String) {
    (method.to_owned(), path.to_owned())
}
