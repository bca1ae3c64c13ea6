//! The fence: nothing a stale runner does is committed.
//!
//! Owns the batch. Every batch is one transaction that first renews the
//! lease with its epoch and last notes the results so far in the run's own
//! row, so that the ledger counts exactly what was committed, whenever the
//! process dies. A runner whose epoch is no longer the lease's cannot renew,
//! and so cannot commit. Nor can one whose earlier batches a crash of Postgres
//! has undone: a batch does not wait for the disk unless what follows rests on
//! it ([`Batch::make_durable`]). Does not take or give back the lease.
//!
//! In a dry run the same batches are savepoints of one transaction that is
//! rolled back in the end; the lease is then renewed outside it.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sqlx::Executor;
use tokio::sync::{Mutex, MutexGuard, watch};
use uuid::Uuid;

use super::{JobError, Lease, Runner, context, lease, ledger};
use crate::database::{self, Pool, Transaction, TxLimits, Unprepared};

/// The only way a job commits.
#[derive(Debug)]
pub struct Fence {
    db: Pool,
    lease: Lease,
    lock_timeout: Duration,
    dry_run: Option<Mutex<Option<Transaction>>>,
    progress: watch::Sender<Value>,
}

impl Fence {
    /// A fence around the lease of a run; with `dry_run` nothing is ever
    /// committed.
    pub(super) fn new(
        runner: &Runner,
        lease: &Lease,
        dry_run: bool,
        progress: watch::Sender<Value>,
    ) -> Self {
        Self {
            db: runner.db.clone(),
            lease: lease.clone(),
            lock_timeout: runner.settings.lock_timeout,
            dry_run: dry_run.then(Mutex::default),
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
    /// [`JobError::Fenced`] when another run has taken the lease,
    /// [`JobError::Lost`] when the database has lost earlier batches.
    pub async fn batch(&self) -> Result<Batch<'_>, JobError> {
        let Some(dry_run) = &self.dry_run else {
            return Ok(Batch {
                fence: self,
                tx: self.begin_batch().await?,
            });
        };
        self.renew().await?;
        let mut outer = dry_run.lock().await;
        if outer.is_none() {
            *outer = Some(self.begin().await?);
        }
        let mut tx = BatchTx::DryRun(outer);
        tx.execute("savepoint batch", "begin a batch").await?;
        Ok(Batch { fence: self, tx })
    }

    /// One batch around `write`, which adds to a copy of the results: the copy
    /// becomes the results when the batch is kept.
    ///
    /// # Errors
    /// That of `write`, and nothing of the batch is kept; or the database's.
    pub async fn write<R: Clone + Serialize, T>(
        &self,
        results: &mut R,
        write: impl AsyncFnOnce(&mut Batch<'_>, &mut R) -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let mut batch = self.batch().await?;
        let mut sum = results.clone();
        match write(&mut batch, &mut sum).await {
            Ok(written) => {
                batch.commit(&sum).await?;
                *results = sum;
                Ok(written)
            }
            Err(error) => {
                let undone = batch.undo().await;
                // Of a database that is gone, the first error says more.
                if !matches!(error, JobError::Unreachable(_)) {
                    undone?;
                }
                Err(error)
            }
        }
    }

    /// Renews the lease in a transaction of its own.
    ///
    /// # Errors
    /// [`JobError::Fenced`] when another run has taken the lease.
    pub async fn renew(&self) -> Result<(), JobError> {
        let (tx, _) = self.renewed(false).await?;
        tx.commit().await.map_err(context("renew the lease"))
    }

    /// Awaits `work`, renewing the lease meanwhile: for time spent outside
    /// the database, in which no batch renews it.
    ///
    /// # Errors
    /// [`JobError::Fenced`] or [`JobError::Lost`] as soon as that is known; `work` is
    /// dropped then. A database that is away is left to the next batch.
    pub async fn with_heartbeat<T>(&self, work: impl Future<Output = T>) -> Result<T, JobError> {
        let heartbeat = async {
            loop {
                tokio::time::sleep(self.lease.ttl / 3).await;
                if let Err(error @ (JobError::Fenced | JobError::Lost)) = self.renew().await {
                    return error;
                }
            }
        };
        tokio::select! {
            worked = work => Ok(worked),
            error = heartbeat => Err(error),
        }
    }

    async fn begin_batch(&self) -> Result<BatchTx<'_>, JobError> {
        let (tx, number) = self.renewed(true).await?;
        Ok(BatchTx::Real { tx, number })
    }

    /// A transaction with the lease renewed, and the number of its batch.
    async fn renewed(&self, begins_batch: bool) -> Result<(Transaction, i64), JobError> {
        let mut tx = self.begin().await?;
        let batches = lease::renew(Unprepared(&mut tx), &self.lease, begins_batch)
            .await
            .map_err(context("renew the lease"))?
            .ok_or(JobError::Fenced)?;
        let before = batches - i64::from(begins_batch);
        if self.lease.has_lost_some(before) {
            return Err(JobError::Lost);
        }
        Ok((tx, batches))
    }

    async fn begin(&self) -> Result<Transaction, JobError> {
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
    tx: BatchTx<'f>,
}

#[derive(Debug)]
enum BatchTx<'f> {
    /// With its number among the batches of the run.
    Real {
        tx: Transaction,
        number: i64,
    },
    DryRun(MutexGuard<'f, Option<Transaction>>),
}

impl BatchTx<'_> {
    fn connection(&mut self) -> Result<&mut Transaction, JobError> {
        match self {
            Self::Real { tx, .. } => Ok(tx),
            Self::DryRun(tx) => tx.as_mut().ok_or_else(|| {
                JobError::Failed(anyhow::anyhow!("the transaction of the dry run has ended"))
            }),
        }
    }

    async fn execute(&mut self, sql: &'static str, what: &'static str) -> Result<(), JobError> {
        let done = Unprepared(self.connection()?).execute(sql).await;
        done.map(drop).map_err(context(what))
    }
}

impl Batch<'_> {
    /// Where the batch's statements go.
    ///
    /// # Errors
    /// When a dry run's transaction has broken off.
    pub fn db(&mut self) -> Result<Unprepared<'_>, JobError> {
        self.tx.connection().map(Unprepared)
    }

    /// Lets the commit wait for the disk, and with it all that was committed
    /// before: for what leaves this house and cannot be taken back.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn make_durable(&mut self) -> Result<(), JobError> {
        let sql = "set local synchronous_commit = on";
        self.tx.execute(sql, "make a batch durable").await
    }

    /// Commits the batch, and with it the run's results so far.
    ///
    /// # Errors
    /// When the database refuses; whether it had committed is then unknown.
    pub async fn commit(mut self, results: &impl Serialize) -> Result<(), JobError> {
        let results = serde_json::to_value(results)
            .map_err(|error| JobError::failed("write results", error))?;
        match self.tx {
            BatchTx::DryRun(_) => {
                self.tx
                    .execute("release savepoint batch", "end a batch")
                    .await?;
            }
            BatchTx::Real { mut tx, number } => {
                ledger::note_results(Unprepared(&mut tx), self.fence.run_id(), &results)
                    .await
                    .map_err(context("note results"))?;
                tx.commit().await.map_err(context("commit a batch"))?;
                self.fence.lease.note_committed(number);
            }
        }
        self.fence.progress.send_replace(results);
        Ok(())
    }

    /// Undoes the batch. A dropped transaction is rolled back by itself, a
    /// savepoint is not.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn undo(mut self) -> Result<(), JobError> {
        match self.tx {
            BatchTx::DryRun(_) => {
                self.tx
                    .execute("rollback to savepoint batch", "undo a batch")
                    .await
            }
            BatchTx::Real { tx, .. } => {
                tx.rollback().await;
                Ok(())
            }
        }
    }
}
