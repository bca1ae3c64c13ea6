//! The edge: what a connection may cost, and what it is answered.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use jarvis_cron::http::edge::{Limits, serve_within};
use rstest::rstest;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::app::{App, JOB, OPERATOR_SECRET};

mod answers;
mod bodies;
mod connections;
mod crowds;
mod heads;
mod odd;
mod slashes;

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A router behind the edge, until it is dropped.
struct Edge {
    address: SocketAddr,
    _stop: DropGuard,
}

/// One connection to it.
struct Caller(TcpStream);

/// Status, head in lower case, and body of an answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// Stops the clock. It stands also while all wait for a socket, because one
/// task never waits.
fn hold_the_clock() {
    tokio::time::pause();
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
}

/// Lets time pass, once what was said is heard.
async fn pass(seconds: u64) {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

impl Edge {
    async fn of(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let runs = TaskTracker::new();
        tokio::spawn(serve_within(limits, listener, router, stop.clone(), runs));
        Self {
            address,
            _stop: stop.drop_guard(),
        }
    }

    async fn call(&self) -> Caller {
        Caller(TcpStream::connect(self.address).await.unwrap())
    }

    /// The answer to the last thing that is said on a connection.
    async fn last_word(&self, said: &[u8]) -> Answer {
        let mut caller = self.call().await;
        caller.0.write_all(said).await.unwrap();
        let answer = caller.answer().await;
        assert!(caller.is_closed().await, "{answer:?}");
        answer
    }
}

impl Caller {
    async fn say(&mut self, said: &str) {
        self.0.write_all(said.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, said: &str) -> Answer {
        self.say(said).await;
        self.answer().await
    }

    async fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let of = |field: &str| head.split(field).nth(1)?.split_whitespace().next();
        let length = of("\r\ncontent-length:").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        Answer {
            status: of("http/1.1").unwrap().parse().unwrap(),
            body: String::from_utf8(body).unwrap(),
            head,
        }
    }

    async fn is_told_to_go_on(&mut self) {
        const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut told = [0; GO_ON.len()];
        self.0.read_exact(&mut told).await.unwrap();
        assert_eq!(told, GO_ON);
    }

    /// Whether the other end has closed without another word.
    async fn is_closed(&mut self) -> bool {
        matches!(self.0.read_u8().await, Err(error) if error.kind() != std::io::ErrorKind::WouldBlock)
    }
}

impl Answer {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let id = body["request_id"].as_str().unwrap_or_default();
        assert!(
            self.head.contains(&format!("x-request-id: {id}\r\n")),
            "{self:?}"
        );
        assert!(self.is_safe(), "{self:?}");
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    fn is_safe(&self) -> bool {
        let has = |field: &str| self.head.contains(field);
        has("\r\nx-content-type-options: nosniff\r\n") && has("\r\ncache-control: no-store\r\n")
    }
}
