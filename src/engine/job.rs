//! What a job is, and how its work ends.
//!
//! A job is a value. The engine gets the jobs as a [`Registry`] and knows
//! none of them by name; a job gets a [`JobContext`] and knows neither HTTP
//! nor the ledger.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};

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

impl Completion {
    /// Done, or with work left.
    #[must_use]
    pub fn done_if(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::WorkLeft }
    }
}

/// A job's results and how it ended; what was committed before an error
/// counts.
#[derive(Debug)]
pub struct JobOutcome {
    /// What was done, counted.
    pub results: Value,
    /// Done, out of budget, or stopped by an error.
    pub end: Result<Completion, JobError>,
}

/// A job at work.
pub type Work<'a> = BoxFuture<'a, Result<Completion, JobError>>;

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

    /// Those of these names. The smaller list stays for the life of the process,
    /// which decides once what it runs.
    #[must_use]
    pub fn only(self, names: &[&str]) -> Self {
        let used = self.iter().filter(|job| names.contains(&job.name));
        Self(Vec::leak(used.copied().collect()))
    }

    /// The names of all jobs.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(|job| job.name).collect()
    }
}

/// Does a job's work, which counts in typed results, and turns these into the
/// JSON that the ledger keeps.
pub fn with_json_results<'a, R: Default + Serialize + Send>(
    ctx: &'a JobContext,
    work: impl for<'r> FnOnce(&'r JobContext, &'r mut R) -> Work<'r> + Send + 'a,
) -> BoxFuture<'a, JobOutcome> {
    async move {
        let mut results = R::default();
        let end = work(ctx, &mut results).await;
        match serde_json::to_value(results) {
            Ok(results) => JobOutcome { results, end },
            Err(error) => JobOutcome {
                results: json!({}),
                end: end.and(Err(JobError::failed("write results", error))),
            },
        }
    }
    .boxed()
}
