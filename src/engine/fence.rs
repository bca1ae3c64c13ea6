//! The fence: nothing a stale runner does is committed.
//!
//! Owns the batch. Every batch is one transaction that first renews the
//! lease with its epoch and last notes the results so far in the run's own
//! row, so that the ledger counts exactly what was committed, whenever the
//! process dies. A runner whose epoch is no longer the lease's cannot renew,
//! and so cannot commit. Taking and freeing the lease is not its business.
//!
//! In a dry run the same batches are savepoints of one transaction that is
//! rolled back in the end; the lease is then renewed outside it.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sqlx::{Executor, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::{Mutex, MutexGuard, watch};
use uuid::Uuid;

use super::lease::{self, Lease};
use super::{JobError, context, ledger};
use crate::database::{self, TxLimits, Unprepared};

/// The only way a job commits.
#[derive(Debug)]
pub struct Fence {
    db: PgPool,
    lease: Lease,
    lock_timeout: Duration,
    rehearsal: Option<Mutex<Option<Transaction<'static, Postgres>>>>,
    progress: watch::Sender<Value>,
}

impl Fence {
    /// A fence around `lease`; with `dry_run` nothing is ever committed.
    #[must_use]
    pub fn new(
        db: PgPool,
        lease: Lease,
        lock_timeout: Duration,
        dry_run: bool,
        progress: watch::Sender<Value>,
    ) -> Self {
        Self {
            db,
            lease,
            lock_timeout,
            rehearsal: dry_run.then(Mutex::default),
            progress,
        }
    }

    /// The run whose batches these are.
    #[must_use]
    pub fn run_id(&self) -> Uuid {
        self.lease.run_id
    }

    /// How long a batch waits for a lock.
    #[must_use]
    pub fn lock_timeout(&self) -> Duration {
        self.lock_timeout
    }

    /// Begins a batch, with the lease renewed.
    ///
    /// # Errors
    /// [`JobError::Fenced`] when another run has taken the lease.
    pub async fn batch(&self) -> Result<Batch<'_>, JobError> {
        let Some(rehearsal) = &self.rehearsal else {
            return Ok(Batch {
                fence: self,
                ground: Ground::Real(self.renewed().await?),
            });
        };
        self.renew().await?;
        let mut outer = rehearsal.lock().await;
        if outer.is_none() {
            *outer = Some(self.begin().await?);
        }
        let mut ground = Ground::Rehearsed(outer);
        ground
            .connection()?
            .execute("savepoint batch")
            .await
            .map_err(context("begin a batch"))?;
        Ok(Batch {
            fence: self,
            ground,
        })
    }

    /// Renews the lease in a transaction of its own.
    ///
    /// # Errors
    /// [`JobError::Fenced`] when another run has taken the lease.
    pub async fn renew(&self) -> Result<(), JobError> {
        self.renewed()
            .await?
            .commit()
            .await
            .map_err(context("renew the lease"))
    }

    /// Awaits `work`, renewing the lease meanwhile: for time spent outside
    /// the database, in which no batch renews it.
    ///
    /// # Errors
    /// [`JobError::Fenced`] as soon as another run has taken the lease; `work` is
    /// dropped then. A database that is away is left to the next batch.
    pub async fn with_heartbeat<T>(&self, work: impl Future<Output = T>) -> Result<T, JobError> {
        let heartbeat = async {
            loop {
                tokio::time::sleep(self.lease.ttl / 3).await;
                if let Err(JobError::Fenced) = self.renew().await {
                    return JobError::Fenced;
                }
            }
        };
        tokio::select! {
            worked = work => Ok(worked),
            stop = heartbeat => Err(stop),
        }
    }

    async fn renewed(&self) -> Result<Transaction<'static, Postgres>, JobError> {
        let mut tx = self.begin().await?;
        if lease::renew(Unprepared(&mut tx), &self.lease)
            .await
            .map_err(context("renew the lease"))?
        {
            Ok(tx)
        } else {
            Err(JobError::Fenced)
        }
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, JobError> {
        database::begin(&self.db, TxLimits::batch(self.lock_timeout))
            .await
            .map_err(context("begin a batch"))
    }
}

/// One transaction of a job. Dropped without [`Batch::commit`], it leaves
/// nothing.
#[derive(Debug)]
pub struct Batch<'f> {
    fence: &'f Fence,
    ground: Ground<'f>,
}

#[derive(Debug)]
enum Ground<'f> {
    Real(Transaction<'static, Postgres>),
    Rehearsed(MutexGuard<'f, Option<Transaction<'static, Postgres>>>),
}

impl Ground<'_> {
    fn connection(&mut self) -> Result<&mut PgConnection, JobError> {
        match self {
            Self::Real(tx) => Ok(tx),
            Self::Rehearsed(tx) => tx
                .as_deref_mut()
                .ok_or_else(|| JobError::Failed(anyhow::anyhow!("the rehearsal has ended"))),
        }
    }
}

impl Batch<'_> {
    /// Where the batch's statements go.
    ///
    /// # Errors
    /// When a dry run's transaction has broken off.
    pub fn db(&mut self) -> Result<Unprepared<'_>, JobError> {
        self.ground.connection().map(Unprepared)
    }

    /// Commits the batch, and with it the run's results so far.
    ///
    /// # Errors
    /// When the database refuses; whether it had committed is then unknown.
    pub async fn commit(mut self, results: &impl Serialize) -> Result<(), JobError> {
        let results = serde_json::to_value(results).map_err(|error| {
            JobError::Failed(anyhow::Error::new(error).context("write results"))
        })?;
        match &mut self.ground {
            Ground::Rehearsed(_) => {
                let connection = self.ground.connection()?;
                connection
                    .execute("release savepoint batch")
                    .await
                    .map_err(context("end a batch"))?;
            }
            Ground::Real(tx) => {
                ledger::note_results(Unprepared(tx), self.fence.run_id(), &results)
                    .await
                    .map_err(context("note results"))?;
                let Ground::Real(tx) = self.ground else {
                    return Ok(());
                };
                tx.commit().await.map_err(context("commit a batch"))?;
            }
        }
        self.fence.progress.send_replace(results);
        Ok(())
    }

    /// Takes the batch back. A real one would be taken back by being
    /// dropped; a savepoint needs to be told.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn undo(mut self) -> Result<(), JobError> {
        if let Ground::Rehearsed(_) = self.ground {
            let connection = self.ground.connection()?;
            connection
                .execute("rollback to savepoint batch")
                .await
                .map_err(context("undo a batch"))?;
            return Ok(());
        }
        let Ground::Real(tx) = self.ground else {
            return Ok(());
        };
        tx.rollback().await.map_err(context("undo a batch"))
    }
}
