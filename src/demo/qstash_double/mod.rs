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
mod faults;
mod keys;
mod message;
mod messages;
mod request;
mod schedules;
mod service;

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use courier::Courier;
pub use faults::Fault;
pub use keys::Keys;
pub use message::{Attempt, Fate, Message};
pub use request::Call;
use service::{Shared, State, lock};

/// The token that may do everything.
pub const TOKEN: &str = "double-token-that-may-do-everything";
/// The token that may only read.
pub const READ_ONLY_TOKEN: &str = "double-token-that-may-only-read";
/// A good token, of another region.
pub const ELSEWHERE_TOKEN: &str = "double-token-of-another-region";

/// A running double. It stops listening when this value is dropped.
#[derive(Debug)]
pub struct QstashDouble {
    address: SocketAddr,
    state: Shared,
    _stop: oneshot::Sender<()>,
}

impl QstashDouble {
    /// Starts a double on a free port of 127.0.0.1; fails when there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("bind the QStash double")?;
        let address = listener
            .local_addr()
            .context("read the QStash double's address")?;
        let state: Shared = Arc::new(Mutex::new(State::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, service::router(Arc::clone(&state)))
            .with_graceful_shutdown(async move {
                // The sender never sends: it is dropped with the double.
                let _ = stopped.await;
            });
        tokio::spawn(async move { server.await });
        Ok(Self {
            address,
            state,
            _stop: stop,
        })
    }

    /// The base address to use in place of `https://qstash.upstash.io`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every call so far, in the order they arrived, refused ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state).calls.clone()
    }

    /// Queues a fault for the next call with this method whose path contains this; each is for one
    /// call, first in, first out.
    pub fn fault(&self, method: &str, path: &str, fault: Fault) {
        lock(&self.state).faults.queue(method, path, fault);
    }

    /// A fault for every call with this method whose path contains this and that has no queued one.
    pub fn always(&self, method: &str, path: &str, fault: Fault) {
        lock(&self.state).faults.set_permanent(method, path, fault);
    }

    /// Forgets all scripted faults.
    pub fn clear_faults(&self) {
        lock(&self.state).faults = faults::Faults::default();
    }

    /// A schedule as it is listed now.
    #[must_use]
    pub fn schedule(&self, id: &str) -> Option<Value> {
        lock(&self.state).schedules.get(id)
    }

    /// Lists this from now on, whatever is kept: for what QStash may list one day.
    pub fn list_instead(&self, list: Value) {
        lock(&self.state).schedules.instead = Some(list);
    }

    /// Refuses any schedule more than this many, with 412.
    pub fn allow_schedules(&self, most: usize) {
        lock(&self.state).schedules.most = Some(most);
    }

    /// Whether replacing a paused schedule resumes it, which is documented nowhere; at first it
    /// stays paused.
    pub fn upsert_resumes(&self, resumes: bool) {
        lock(&self.state).schedules.upsert_resumes = resumes;
    }

    /// Hashes redacted values with this before them, as if QStash hashed another text than the
    /// value, which is documented nowhere either.
    pub fn redact_with(&self, salt: &str) {
        salt.clone_into(&mut lock(&self.state).schedules.salt);
    }
}
