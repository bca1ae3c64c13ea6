//! How many refusals there were, and which of them are logged.
//!
//! The one count that lives in the process, because what is refused writes no
//! row. Promises that a flood of them adds [`MOST_LINES`] lines a second to the
//! log, and one that says how many were left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// Refusals that are logged in a second.
const MOST_LINES: u64 = 20;
const A_SECOND: Duration = Duration::from_secs(1);

/// The refusals since the process started.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    by_code: BTreeMap<&'static str, u64>,
    /// In the second that runs since the first of them.
    in_this_second: u64,
}

impl Refusals {
    /// Counts one; answers whether it is to be logged.
    pub(super) fn count(self: &Arc<Self>, code: &'static str) -> bool {
        let mut counts = self.0.lock();
        *counts.by_code.entry(code).or_default() += 1;
        counts.in_this_second += 1;
        if counts.in_this_second == 1 {
            tokio::spawn(self.clone().end_the_second());
        }
        counts.in_this_second <= MOST_LINES
    }

    /// How many there were of each code.
    pub(super) fn by_code(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().by_code.clone()
    }

    async fn end_the_second(self: Arc<Self>) {
        tokio::time::sleep(A_SECOND).await;
        let count = std::mem::take(&mut self.0.lock().in_this_second);
        let skipped = count.saturating_sub(MOST_LINES);
        if skipped > 0 {
            tracing::warn!(skipped, "Skipping refusals in the log: too many a second");
        }
    }
}
