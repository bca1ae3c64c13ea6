//! Read models: what operators read of jobs, runs and alerts.
//!
//! Read only, each question in one short transaction. Knows no HTTP.

use chrono::{DateTime, Utc};

use crate::database::{self, Pool, Transaction, TxLimits, Unprepared};
use crate::engine::{JobError, Registry, Runner, context};

pub(crate) mod history;
pub(crate) mod overview;
pub(crate) mod punctuality;
pub(crate) mod standing;
pub(crate) mod totals;

/// What it takes to answer operators; clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Views {
    db: Pool,
    jobs: Registry,
}

impl Views {
    /// The views of the jobs that `runner` can run.
    pub(crate) fn of(runner: &Runner) -> Self {
        Self {
            db: runner.db.clone(),
            jobs: runner.jobs,
        }
    }

    /// A transaction for reading; dropped, it is rolled back.
    pub(crate) async fn reading(&self) -> Result<Transaction, JobError> {
        database::begin(&self.db, TxLimits::READ)
            .await
            .map_err(context("begin to read"))
    }

    /// The moment it is, on the database's clock.
    pub(crate) async fn now(&self) -> Result<DateTime<Utc>, JobError> {
        let mut tx = self.reading().await?;
        database::now(Unprepared(&mut tx))
            .await
            .map_err(context("read the clock"))
    }
}
