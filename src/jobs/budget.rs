//! How long a run may begin new work.
//!
//! Measured on the monotonic clock, so that a clock that jumps neither ends
//! a run nor lets it go on for ever. Spent early when the process is asked
//! to stop.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long work that had begun may still take once the process must stop.
const GRACE: Duration = Duration::from_secs(4);

/// The time a run has, and the word that the process is to stop.
#[derive(Debug, Clone)]
pub struct Budget {
    until: Instant,
    stop: CancellationToken,
}

impl Budget {
    /// A budget of `length` from now, ended early by `stop`.
    #[must_use]
    pub fn new(length: Duration, stop: CancellationToken) -> Self {
        Self {
            until: Instant::now() + length,
            stop,
        }
    }

    /// Whether nothing new may begin: no batch and no call to Stripe.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.until
    }

    /// Waits until [`GRACE`] after the process was asked to stop: the moment
    /// at which an answer from outside is no longer waited for.
    pub async fn patience_ends(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    /// Sleeps for `pause`, or until the budget is spent, whichever is first.
    pub async fn sleep(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep_until(self.until.min(Instant::now() + pause)) => {}
            () = self.stop.cancelled() => {}
        }
    }
}
