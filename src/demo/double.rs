//! The skeleton of a double: what the stand-ins for Stripe, QStash and Resend
//! share.
//!
//! Owns the listener on loopback, the lock around the state, a call as it
//! arrived, and the line of scripted faults. What a call does, and what a
//! fault means, is each double's own business.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, rejection::BytesRejection};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running double with its state. It stops listening when dropped.
#[derive(Debug)]
pub(super) struct Double<S> {
    address: SocketAddr,
    state: Shared<S>,
    _stop: oneshot::Sender<()>,
}

impl<S: Default> Double<S> {
    /// Serves `router` on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn start(
        name: &'static str,
        router: impl FnOnce(Shared<S>) -> Router,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .with_context(|| format!("bind the {name} double to a port of 127.0.0.1"))?;
        let address = listener.local_addr()?;
        let state = Shared::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let server =
            axum::serve(listener, router(state.clone())).with_graceful_shutdown(async move {
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

    /// The base address to use in place of the real one, without a slash at
    /// the end.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The state, to be shared with a task.
    pub(super) fn shared(&self) -> &Shared<S> {
        &self.state
    }

    /// The state, locked.
    pub(super) fn state(&self) -> MutexGuard<'_, S> {
        self.state.lock()
    }
}

/// The state of a double, shared by its owner and all connections. A test that
/// fails while holding it does not harm it.
pub(super) type Shared<S> = Arc<Mutex<S>>;

/// A call as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// When.
    pub at: Instant,
    /// Such as `POST`.
    pub method: Method,
    /// The path as it was written, not decoded.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// All headers, names in lower case.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Call {
    /// The value of a header, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The Bearer token, or nothing.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = BytesRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, BytesRejection> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await?;
        Ok(Self {
            at: Instant::now(),
            method,
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// The scripted faults: `K` says which calls one concerns.
///
/// A call meets the first fault queued for it, else the standing one, and
/// never more than one. Retries are calls of their own.
#[derive(Debug)]
pub(super) struct Faults<K, F> {
    queued: Vec<(K, F)>,
    standing: Vec<(K, F)>,
}

impl<K, F> Default for Faults<K, F> {
    fn default() -> Self {
        Self {
            queued: Vec::new(),
            standing: Vec::new(),
        }
    }
}

impl<K: PartialEq, F: Clone> Faults<K, F> {
    /// Spoils one call, after those that are queued already.
    pub(super) fn queue(&mut self, key: K, fault: F) {
        self.queued.push((key, fault));
    }

    /// Spoils every call that no queued fault waits for; `None` ends that.
    pub(super) fn stand(&mut self, key: K, fault: Option<F>) {
        self.standing.retain(|(known, _)| *known != key);
        self.standing.extend(fault.map(|fault| (key, fault)));
    }

    /// The fault of a call that these keys concern.
    pub(super) fn take(&mut self, concerns: impl Fn(&K) -> bool) -> Option<F> {
        self.take_if(concerns, |_| true)
    }

    /// The same, if it `strikes` now; else it waits, and no other takes its place.
    pub(super) fn take_if(
        &mut self,
        concerns: impl Fn(&K) -> bool,
        strikes: impl Fn(&F) -> bool,
    ) -> Option<F> {
        if let Some(place) = self.queued.iter().position(|(key, _)| concerns(key)) {
            return strikes(&self.queued[place].1).then(|| self.queued.remove(place).1);
        }
        let mut standing = self.standing.iter();
        let (_, fault) = standing.find(|(key, _)| concerns(key))?;
        Some(fault.clone()).filter(strikes)
    }
}

/// The clock of those that a double stands for: they date what happens by their own.
#[expect(
    clippy::disallowed_methods,
    reason = "Stripe and QStash have a clock, and so do their doubles"
)]
pub(super) fn wall_clock() -> DateTime<Utc> {
    Utc::now()
}

/// A response with this status and this body.
pub(super) fn response(status: u16, body: impl IntoResponse) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, body).into_response()
}

/// A response whose body breaks at once: the server drops the connection
/// before it has sent a byte.
pub(super) fn cut() -> Response<Body> {
    let broken = io::Error::from(io::ErrorKind::ConnectionAborted);
    let body = futures::stream::once(async move { Err::<Bytes, _>(broken) });
    Response::new(Body::from_stream(body))
}
