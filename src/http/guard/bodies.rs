//! Bodies: how much of one is read, how long it may take, and how many are
//! held at once.
//!
//! Promises that all bodies together take no more room than [`ROOM`]: what a
//! body may become is set aside before its first byte is read, and given back
//! when its handler is done with it. A caller who finds no room is asked to
//! come again. Does not know who sends one.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::http::Refusal;

/// The largest body that is read.
pub(super) const MOST_BODY: usize = 64 * KIB;
/// The same where QStash is the author: a failure callback quotes an answer,
/// which it cuts off at a megabyte before base64 makes it longer.
pub(super) const MOST_CALLBACK: usize = 2 * 1024 * KIB;
/// How long a caller may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// The room for all bodies at once: four callbacks of the largest kind.
const ROOM: usize = 8 * 1024 * KIB;
/// What even the shortest body is charged, which bounds their number.
const LEAST_CHARGE: usize = 64 * KIB;
/// How long a caller waits for room.
const ROOM_TIMEOUT: Duration = Duration::from_secs(2);
const KIB: usize = 1024;

/// The room for bodies that is left, in KiB.
#[derive(Clone)]
pub(in crate::http) struct Room(Arc<Semaphore>);

/// A body, and the room it takes until it is dropped.
pub(in crate::http) struct Held {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    pub(in crate::http) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM / KIB)))
    }

    /// Reads `body`, at most `most` bytes of it.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        most: usize,
    ) -> Result<Held, Refusal> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > most) {
            return Err(Refusal::too_large(most));
        }
        let room = match body.size_hint().exact() {
            Some(0) => None,
            length => Some(
                self.take(length.map_or(most, |length| most.min(size(length))))
                    .await?,
            ),
        };
        match timeout(BODY_TIMEOUT, axum::body::to_bytes(body, most)).await {
            Ok(Ok(bytes)) => Ok(Held { bytes, _room: room }),
            Ok(Err(error)) if is_too_long(&error) => Err(Refusal::too_large(most)),
            Ok(Err(_)) => Err(Refusal::broken_body()),
            Err(_) => Err(Refusal::slow_body()),
        }
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let charge = u32::try_from(bytes.max(LEAST_CHARGE).div_ceil(KIB)).unwrap_or(u32::MAX);
        match timeout(ROOM_TIMEOUT, self.0.clone().acquire_many_owned(charge)).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Refusal::unavailable(
                "too many bodies are being read at once",
            )),
        }
    }
}

fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// axum hides the kind of the error in its source.
fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(|source| source.to_string().contains("length limit"))
}
