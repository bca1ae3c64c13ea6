//! The listener: one task per connection, and a graceful end.
//!
//! hyper is driven by hand because axum's own `serve` has no time-out for
//! slow headers. The caller owns the socket and the signal to stop.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a caller may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests may take to end once the process must stop.
const GRACE: Duration = Duration::from_secs(9);

/// Serves `router` on `listener` until `stop`; then takes no new connection,
/// and waits for requests and `runs` in progress, nine seconds at the most.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    runs: TaskTracker,
) {
    let connections = TaskTracker::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), stop.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others will be freed.
                    tracing::warn!(%error, "Failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    connections.close();
    runs.close();
    let all_done = async { tokio::join!(runs.wait(), connections.wait()) };
    if tokio::time::timeout(GRACE, all_done).await.is_err() {
        tracing::warn!("Stopped with work in progress; its lease will run out");
    }
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut stopping = false;
    let served = loop {
        tokio::select! {
            served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => break served,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    // Between two requests no caller is slow, and none waits for an answer.
    if served.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty() {
        let answer =
            "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        // The caller may be gone and not need the answer.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
    let _ = stream.shutdown().await;
}
