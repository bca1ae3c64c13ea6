//! The jobs: what they are and which there are.
//!
//! A job is a value. A new one is one file, one line in [`ALL`], one entry
//! in `qstash-schedules.json`, and its tests. A job gets a [`Cx`] and knows
//! neither HTTP nor the ledger; it reads no clock and no environment, and no
//! job imports another. What several jobs need stands beside them:
//! [`alerts`], [`intents`], [`stock`].

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

pub mod alerts;
pub mod budget;
pub mod cleanup_old_data;
pub mod cleanup_stale_payment_intents;
pub mod cx;
pub mod daily_churn_analysis;
pub mod expire_stale_orders;
pub mod fence;
pub mod health_check_kiosks;
pub mod intents;
pub mod options;
pub mod place;
pub mod stock;
pub mod weekly_reports;

pub use budget::Budget;
pub use cx::{Cx, Stop, during};
pub use fence::{Batch, Fence};
pub use options::Options;
pub use place::Place;

/// Every job there is.
pub const ALL: &[Job] = &[
    expire_stale_orders::JOB,
    cleanup_stale_payment_intents::JOB,
    daily_churn_analysis::JOB,
    health_check_kiosks::JOB,
    cleanup_old_data::JOB,
    weekly_reports::JOB,
];

/// One kind of work, called by its name.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// The name in routes, the ledger and the logs, in kebab case.
    pub name: &'static str,
    /// The `log_type` of its rows in `system_logs`.
    pub log_type: &'static str,
    /// The options it understands; any other is refused, not ignored.
    pub accepts: &'static [&'static str],
    /// The counts in its results that add up over runs, for the figures.
    pub totals: &'static [&'static str],
    /// The work.
    pub run: for<'a> fn(&'a Cx) -> BoxFuture<'a, Ended>,
}

/// How a job's work ended when it was not stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Nothing is left to do.
    Done,
    /// The budget was spent first. A run that looked at as many rows as
    /// `limit` allows is done.
    WorkLeft,
}

/// A job's typed results and how it ended; what was done before a stop counts.
#[derive(Debug)]
pub struct Worked<R> {
    /// What was done, counted.
    pub results: R,
    /// Done, out of budget, or stopped.
    pub end: Result<Finish, Stop>,
}

/// [`Worked`] with its results as the JSON that the ledger keeps.
pub type Ended = Worked<Value>;

/// The job of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Job> {
    ALL.iter().find(|job| job.name == name)
}

/// Turns a job's typed results into what the ledger keeps.
fn report<'a, R: Serialize>(
    work: impl Future<Output = Worked<R>> + Send + 'a,
) -> BoxFuture<'a, Ended> {
    work.map(
        |Worked { results, end }| match serde_json::to_value(results) {
            Ok(results) => Worked { results, end },
            Err(error) => Worked {
                results: Value::Null,
                end: end.and(Err(Stop::Failed(
                    anyhow::Error::new(error).context("write results"),
                ))),
            },
        },
    )
    .boxed()
}
