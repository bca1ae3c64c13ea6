//! Read models: what operators read of jobs, runs and alerts.
//!
//! Read only, each question in one short transaction. Knows no HTTP.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};

use crate::database::{self, TxLimits, Unprepared};
use crate::engine::{JobError, Registry, Runner, context};

pub mod history;
pub mod overview;
pub mod punctuality;
pub mod standing;
pub mod totals;

/// What it takes to answer operators; clones share everything.
#[derive(Debug, Clone)]
pub struct Views {
    db: PgPool,
    jobs: Registry,
}

impl Views {
    /// The views of the jobs that `runner` can run.
    #[must_use]
    pub fn of(runner: &Runner) -> Self {
        Self {
            db: runner.db.clone(),
            jobs: runner.jobs,
        }
    }

    /// A transaction for reading; dropped, it is rolled back.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn reading(&self) -> Result<Transaction<'static, Postgres>, JobError> {
        database::begin(&self.db, TxLimits::READ)
            .await
            .map_err(context("begin to read"))
    }

    /// The moment it is, on the database's clock.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn now(&self) -> Result<DateTime<Utc>, JobError> {
        let mut tx = self.reading().await?;
        database::now(Unprepared(&mut tx))
            .await
            .map_err(context("read the clock"))
    }
}
