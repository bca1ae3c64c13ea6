//! A latch: holds the one who comes at the right time until it is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What has not come by then will not come any more.
const PATIENCE: Duration = Duration::from_mins(1);

/// Closes once, at the nth time that something happens.
pub(super) struct Latch {
    left: AtomicUsize,
    reached: Semaphore,
    opened: Semaphore,
}

impl Latch {
    pub(super) fn at(nth: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(nth),
            reached: Semaphore::new(0),
            opened: Semaphore::new(0),
        })
    }

    /// Whether this time it closes.
    pub(super) fn closes(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Waits in it until it is opened.
    pub(super) async fn hold(&self) {
        self.reached.add_permits(1);
        drop(self.opened.acquire().await);
    }

    /// Waits until a call waits in it.
    pub(super) async fn reached(&self) {
        let reached = timeout(PATIENCE, self.reached.acquire()).await;
        drop(reached.expect("the moment never came"));
    }

    pub(super) fn open(&self) {
        self.opened.add_permits(1);
    }
}
