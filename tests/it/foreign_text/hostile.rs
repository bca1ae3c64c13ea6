//! A server that gives every call the same answer, and counts what it sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Response, header};
use futures::StreamExt;
use tokio::net::TcpListener;

/// What it answers.
#[derive(Debug, Clone)]
pub(super) enum Says {
    /// This status and body.
    Text(u16, String),
    /// This status, and so many bytes, piece by piece.
    Endless(u16, u64),
}

pub(super) struct Hostile {
    address: String,
    calls: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Hostile {
    pub(super) async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (calls, sent) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (called, counted) = (Arc::clone(&calls), Arc::clone(&sent));
        let router = Router::new().fallback(move || {
            called.fetch_add(1, Ordering::Relaxed);
            let answer = says.answer(&counted);
            async { answer }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            calls,
            sent,
        }
    }

    pub(super) fn url(&self) -> String {
        self.address.clone()
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How many bytes the other side may have read.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Says {
    fn answer(&self, sent: &Arc<AtomicU64>) -> Response<Body> {
        const PIECE: usize = 64 * 1024;
        let (status, body) = match self {
            Self::Text(status, text) => (*status, Body::from(text.clone())),
            Self::Endless(status, bytes) => {
                let piece = Bytes::from(vec![b'"'; PIECE]);
                let pieces = usize::try_from(*bytes).unwrap() / PIECE;
                let sent = Arc::clone(sent);
                let pieces = futures::stream::iter(0..pieces).map(move |_| {
                    sent.fetch_add(PIECE as u64, Ordering::Relaxed);
                    Ok::<_, std::io::Error>(piece.clone())
                });
                (*status, Body::from_stream(pieces))
            }
        };
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .unwrap()
    }
}
