//! A stand-in for the part of Resend this service talks to, for the demo and the tests.
//!
//! It owns the mails it accepted, in memory, and answers `POST /emails` on a loopback port as
//! resend.com/docs says Resend does, idempotency keys included. It promises that a mail is on
//! record once for each time Resend would have sent it. It sends no mail, forgets no idempotency
//! key, and counts no quota; it limits the rate only when a test says so.

mod service;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use service::{Shared, State, lock};

/// A running double. It stops listening when this value is dropped.
#[derive(Debug)]
pub struct ResendDouble {
    address: SocketAddr,
    state: Shared,
    _stop: oneshot::Sender<()>,
}

/// A mail that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are Resend's")]
pub struct Sent {
    pub id: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub html: String,
    pub text: String,
    pub idempotency_key: String,
}

/// One thing that can go wrong with a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This error, and nothing is sent: <https://resend.com/docs/api-reference/errors>.
    Status {
        /// 400 to 599.
        status: u16,
        /// Resend's name of the error.
        name: &'static str,
        /// The `retry-after` header, in seconds.
        retry_after: Option<u64>,
    },
    /// The mail is accepted at once, its answer comes this much later.
    HangAfterEffect(Duration),
    /// The call is handled only after this long, and not at all if its caller has left by then.
    Hang(Duration),
    /// The mail is accepted, then the connection is closed without an answer.
    DisconnectAfterEffect,
    /// 200 with a body that is not JSON, as from a proxy in between; nothing is sent.
    Garbled,
}

impl ResendDouble {
    /// Starts a double on a free port of 127.0.0.1; fails when there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("bind the Resend double")?;
        let address = listener
            .local_addr()
            .context("read the Resend double's address")?;
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

    /// The base address to use in place of `https://api.resend.com`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every mail that was accepted, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.state).sent.clone()
    }

    /// When each call came, refused ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<Instant> {
        lock(&self.state).calls.clone()
    }

    /// Spoils the next call to this recipient; several wait in line.
    pub fn fault(&self, to: &str, fault: Fault) {
        let mut state = lock(&self.state);
        state
            .faults
            .entry(to.to_owned())
            .or_default()
            .push_back(fault);
    }

    /// Spoils every call that has no fault of its own, or none any more.
    pub fn always(&self, fault: Option<Fault>) {
        lock(&self.state).standing = fault;
    }
}
