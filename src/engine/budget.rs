//! How long a run may begin new work.
//!
//! Measured on the monotonic clock, so that a clock that jumps neither ends
//! a run nor lets it run for ever. Spent early when the process is asked
//! to stop.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long an answer from outside is still waited for once nothing new may
/// begin: long enough for most, short enough for a caller who waits a minute
/// and a platform that stops us within ten seconds.
const GRACE: Duration = Duration::from_secs(4);

/// The time a run has, and whether the process is to stop.
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

    /// Whether also what had begun must end now: [`GRACE`] after the budget was
    /// spent, or at once when the process is asked to stop.
    #[must_use]
    pub fn is_past_grace(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.until + GRACE
    }

    /// Waits for the moment at which an answer from outside is no longer
    /// waited for: a little after the budget was spent, or after the process
    /// was asked to stop.
    pub async fn grace_ends(&self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.until) => {}
            () = self.stop.cancelled() => {}
        }
        tokio::time::sleep(GRACE).await;
    }
}
