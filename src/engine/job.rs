//! What a job is, and how its work ends.
//!
//! A job is a value. The engine gets the jobs as a [`Registry`] and knows
//! none of them by name; a job gets a [`JobContext`] and knows neither HTTP
//! nor the ledger.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::{JobContext, JobError};

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
    pub run: for<'a> fn(&'a JobContext) -> BoxFuture<'a, JobOutcome>,
}

/// The jobs that this process can run, in the order operators see them.
#[derive(Debug, Clone, Copy)]
pub struct Registry(pub &'static [Job]);

/// How a job's work ended when no error stopped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Nothing is left to do.
    Done,
    /// The budget was spent first. A run that looked at as many rows as
    /// `limit` allows is done.
    WorkLeft,
}

/// A job's results and how it ended; what was committed before an error
/// counts. A job returns its typed results, the ledger keeps them as JSON.
#[derive(Debug)]
pub struct JobOutcome<R = Value> {
    /// What was done, counted.
    pub results: R,
    /// Done, out of budget, or stopped by an error.
    pub end: Result<Completion, JobError>,
}

impl Registry {
    /// The job of that name.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'static Job> {
        self.0.iter().find(|job| job.name == name)
    }

    /// Every job, in the order operators see them.
    pub fn iter(self) -> impl Iterator<Item = &'static Job> {
        self.0.iter()
    }

    /// The names of all jobs.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(|job| job.name).collect()
    }
}

/// Turns a job's typed results into the JSON that the ledger keeps.
pub fn with_json_results<'a, R: Serialize>(
    work: impl Future<Output = JobOutcome<R>> + Send + 'a,
) -> BoxFuture<'a, JobOutcome> {
    let as_json = |JobOutcome { results, end }| match serde_json::to_value(results) {
        Ok(results) => JobOutcome { results, end },
        Err(error) => JobOutcome {
            results: Value::Null,
            end: end.and(Err(JobError::failed("write results", error))),
        },
    };
    work.map(as_json).boxed()
}
