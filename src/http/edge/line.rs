//! The line to a caller, as hyper is given it, and the time a head may take.
//!
//! Promises that the time for a head counts from its first byte, which hyper,
//! counting from the answer before, does not know of; that a write which
//! stalls ends the line; and that what hyper answers to a head it cannot read
//! is kept back, because it has neither a body nor an id: the edge answers.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

use super::places::Peer;

/// The line to a caller.
pub(super) struct Line {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    peer: Peer,
    traffic: Arc<Traffic>,
}

/// What has gone over the line since hyper began to wait for a head.
#[derive(Default)]
pub(super) struct Traffic {
    /// Something of it has come.
    has_begun: AtomicBool,
    /// Something was said, which can only be the end of the answer before.
    has_spoken: AtomicBool,
    /// That answer was not taken to its end yet.
    owes: AtomicBool,
}

impl Traffic {
    pub(super) fn owes(&self) -> bool {
        self.owes.load(Relaxed)
    }

    pub(super) fn has_spoken(&self) -> bool {
        self.has_spoken.load(Relaxed)
    }
}

impl Line {
    pub(super) fn new(stream: TcpStream, peer: Peer, stall: Duration) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(stall));
        Self {
            stream: Box::pin(stream),
            peer,
            traffic: Arc::default(),
        }
    }

    /// Waits until something has come, be it the end.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.stream.get_ref().readable().await
    }

    pub(super) fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// hyper's clock, by which a head may take `limit`.
    pub(super) fn timer(&self, limit: Duration) -> HeadTimer {
        HeadTimer {
            peer: self.peer.clone(),
            traffic: self.traffic.clone(),
            limit,
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.stream.as_mut().poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.traffic.has_begun.store(true, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.peer.is_idle() {
            if !self.traffic.owes() {
                // No answer of ours is on its way: hyper speaks for itself.
                return Poll::Ready(Ok(buf.len()));
            }
            self.traffic.has_spoken.store(true, Relaxed);
        }
        let written = self.stream.as_mut().poll_write(cx, buf);
        let is_all = matches!(written, Poll::Ready(Ok(length)) if length == buf.len());
        self.traffic.owes.store(!is_all, Relaxed);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

/// The clock that hyper reads for a head, and for nothing else.
pub(super) struct HeadTimer {
    peer: Peer,
    traffic: Arc<Traffic>,
    limit: Duration,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    /// hyper begins to wait for a head.
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.traffic.has_begun.store(false, Relaxed);
        self.traffic.has_spoken.store(false, Relaxed);
        self.peer.rests();
        Box::pin(HeadSleep {
            end: Box::pin(tokio::time::sleep_until(deadline.into())),
            has_begun: false,
            traffic: self.traffic.clone(),
            limit: self.limit,
        })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

/// The time that is left for a head.
struct HeadSleep {
    end: Pin<Box<tokio::time::Sleep>>,
    has_begun: bool,
    traffic: Arc<Traffic>,
    limit: Duration,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    /// hyper asks after each time it has read what there was.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.has_begun && self.traffic.has_begun.load(Relaxed) {
            self.has_begun = true;
            let end = tokio::time::Instant::now() + self.limit;
            self.end.as_mut().reset(end);
        }
        self.end.as_mut().poll(cx)
    }
}
