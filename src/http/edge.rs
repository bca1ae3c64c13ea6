//! The listener: one task per connection, its limits, and a graceful end.
//!
//! hyper is driven by hand, because axum's own `serve` sets no limits. Owns
//! how many connections there are ([`places`]), how long a caller may take
//! over a head and over an answer, and how large a head may be. Promises that
//! none of this costs a caller with a credential their place, and that what it
//! refuses is answered, counted and logged as every other refusal is. The
//! caller owns the socket and the signal to stop.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::Refusal;
use line::Line;
use places::Places;

mod line;
mod places;

pub(super) use places::Peer;

/// The largest head of a request, in bytes.
const MOST_HEAD: usize = 32 * 1024;
/// How long requests may take to end once the process must stop.
const GRACE: Duration = Duration::from_secs(9);
/// What a caller still sends after the last answer is read for so long and so
/// far: closed before, the connection would take the answer with it.
const LINGER: Duration = Duration::from_secs(1);
const MOST_LINGER: u64 = 1024 * 1024;

/// What the edge allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// How long a head may take from its first byte to its end.
    pub head: Duration,
    /// How long a connection may be silent between two requests: longer than
    /// proxies keep theirs, so that none sends into one that is being closed.
    pub idle: Duration,
    /// How long a caller may take nothing of an answer.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(620),
            stall: Duration::from_secs(15),
        }
    }
}

impl Limits {
    /// Descriptors for all but connections and the database: the process has a
    /// dozen, the others are for Stripe, QStash and Resend.
    const OTHERS: u64 = 32;
    /// Over TLS it is one of TCP and two ends of a relay.
    const OF_A_DATABASE_CONNECTION: u64 = 3;

    /// As many connections as this process may open descriptors, less those
    /// that it needs to do its work.
    #[must_use]
    pub fn beside(database_connections: u32) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let others =
            Self::OTHERS + Self::OF_A_DATABASE_CONNECTION * u64::from(database_connections);
        let left = limit.map_or(u64::MAX, |limit| limit.saturating_sub(others));
        let default = Self::default();
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        Self {
            connections: left.clamp(8, default.connections),
            ..default
        }
    }
}

/// [`serve_within`] the default limits.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    runs: TaskTracker,
) {
    serve_within(Limits::default(), listener, router, stop, runs).await;
}

/// Serves `router` on `listener` until `stop`; then takes no new connection,
/// and waits for requests and `runs` in progress, nine seconds at the most.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    runs: TaskTracker,
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Places::new(limits.connections));
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let place = places.take().await;
                    let (router, stop) = (router.clone(), stop.clone());
                    connections.spawn(async move {
                        let peer = place.peer();
                        let is_evicted = tokio::select! {
                            () = connection(stream, peer, router.clone(), limits, &stop) => false,
                            () = peer.evicted() => true,
                        };
                        drop(place);
                        if is_evicted {
                            answer_to(Refusal::crowded_out(), router).await;
                        }
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others will be freed.
                    tracing::warn!(%error, "Failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    connections.close();
    runs.close();
    let all_done = async { tokio::join!(runs.wait(), connections.wait()) };
    if timeout(GRACE, all_done).await.is_err() {
        tracing::warn!("Stopped with work in progress; its lease will run out");
    }
}

/// Serves one connection to its end. Between two requests it costs no buffer.
async fn connection(
    stream: TcpStream,
    peer: &Peer,
    router: Router,
    limits: Limits,
    stop: &CancellationToken,
) {
    let mut line = Line::new(stream, peer.clone(), limits.stall);
    loop {
        let is_called = tokio::select! {
            readable = timeout(limits.idle, line.readable()) => matches!(readable, Ok(Ok(()))),
            () = stop.cancelled() => false,
        };
        if !is_called {
            break;
        }
        let end;
        (line, end) = requests(line, peer, &router, limits, stop).await;
        match end {
            End::Silence => {}
            End::Fault(refusal) => {
                peer.is_served();
                refuse(&mut line, router, *refusal).await;
                break;
            }
            End::Closed => break,
        }
    }
    let _ = line.shutdown().await;
    if !stop.is_cancelled() {
        let rest =
            async { tokio::io::copy(&mut line.take(MOST_LINGER), &mut tokio::io::sink()).await };
        let _ = timeout(LINGER, rest).await;
    }
}

/// Why hyper is done with a connection.
enum End {
    /// Nothing came for a while, and nothing is owed.
    Silence,
    /// A head that is answered by a refusal.
    Fault(Box<Refusal>),
    /// There is nothing to say any more.
    Closed,
}

/// Serves the requests that follow one another.
async fn requests(
    line: Line,
    peer: &Peer,
    router: &Router,
    limits: Limits,
    stop: &CancellationToken,
) -> (Line, End) {
    let service = service_fn(|mut request: Request<Incoming>| {
        peer.is_served();
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request)
    });
    let traffic = line.traffic();
    let mut connection = http1::Builder::new()
        .timer(line.timer(limits.head))
        .header_read_timeout(limits.head)
        .max_header_size(MOST_HEAD)
        .max_buf_size(MOST_HEAD)
        .serve_connection(TokioIo::new(line), service);
    let mut stopping = false;
    let served = loop {
        tokio::select! {
            served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => break served,
            () = stop.cancelled(), if !stopping => {
                // Of a head that has begun hyper would wait for the end.
                if peer.is_idle() && !traffic.owes() {
                    break Ok(());
                }
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let line = parts.io.into_inner();
    let end = match served {
        Err(_) if traffic.owes() => End::Closed,
        Err(error) if error.is_timeout() && parts.read_buf.is_empty() => End::Silence,
        Err(error) => fault(&error)
            .filter(|_| !traffic.has_spoken())
            .map_or(End::Closed, End::Fault),
        Ok(()) => End::Closed,
    };
    (line, end)
}

/// What is wrong with a head.
fn fault(error: &hyper::Error) -> Option<Box<Refusal>> {
    let refusal = if error.is_timeout() {
        Refusal::slow_head()
    } else if error.is_parse_too_large() {
        Refusal::large_head(MOST_HEAD)
    } else if error.is_parse() {
        Refusal::not_http()
    } else {
        return None;
    };
    Some(Box::new(refusal))
}

/// What the router makes of a refusal, which it counts.
async fn answer_to(refusal: Refusal, router: Router) -> Response {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(refusal);
    let Ok(response) = router.oneshot(request).await;
    response
}

/// Writes a refusal out, made by the router as all others are.
async fn refuse(line: &mut Line, router: Router, refusal: Refusal) {
    let (mut parts, body) = answer_to(refusal, router).await.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return;
    };
    parts
        .headers
        .insert(header::CONTENT_LENGTH, body.len().into());
    let mut answer = format!("HTTP/1.1 {}\r\nconnection: close\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        let field = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"];
        answer.extend(field.concat());
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&body);
    // The caller may be gone and not need the answer.
    let _ = line.write_all(&answer).await;
}
