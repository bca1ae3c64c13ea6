//! The lease: who may work on a job, and until when.
//!
//! Owns `job_leases`: taking, renewing and giving back. Time is the database's
//! clock, so replicas need not agree on theirs. The row stays when the lease is
//! free: its epoch never starts over.
//!
//! A lease is held while it names a run and its end lies ahead, by no more than
//! its length: further ahead, the clock was set back, and the next run may take it.
//! The row counts the batches that the run has committed, so that a crash of
//! Postgres that undoes some of them does not pass unseen.
//!
//! So that two calls are decided one after the other whatever they divide their
//! rows by, each first locks the row of shard -1, which no batch touches, then
//! the row of its own shard, then those of other divisions ([`divisions`]); rows
//! of the ledger come after all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::Result;
use uuid::Uuid;

use super::Call;
use crate::database::Unprepared;

pub(super) mod divisions;

/// The shard of a run that fans out: its own shards may begin beside it.
const FAN_OUT: i32 = -1;

/// A lease held: the right to work on one shard of one job, while it lasts.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The job.
    pub job: &'static str,
    /// Its shard, 0 when the work is not divided.
    pub shard: i32,
    /// Raised by each taker; the fence compares it.
    pub epoch: i64,
    /// The run that took it.
    pub run_id: Uuid,
    /// How long it lasts without renewal, on the database's clock.
    pub ttl: Duration,
    /// How many batches its run has committed, as far as the run knows.
    committed: Arc<AtomicI64>,
}

impl Lease {
    /// Notes that the batch of this number is committed.
    pub(super) fn note_committed(&self, batch: i64) {
        self.committed.fetch_max(batch, Ordering::Relaxed);
    }

    /// Whether some batches are gone, where only so many are there.
    pub(super) fn has_lost_some(&self, batches: i64) -> bool {
        batches < self.committed.load(Ordering::Relaxed)
    }
}

/// Which part of a job's rows a run works on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) job: &'static str,
    pub(super) shard: i32,
    /// How many there are; the whole is 0 of 1.
    pub(super) count: i32,
}

impl Part {
    /// What `call` works on.
    pub(super) fn of(call: &Call) -> Self {
        let (shard, count) = match call.options.fan_out {
            Some(count) => (FAN_OUT, i32::try_from(count).unwrap_or(i32::MAX)),
            None => call.options.shard_of(),
        };
        Self {
            job: call.job.name,
            shard,
            count,
        }
    }
}

/// The state of a lease, locked until the transaction ends.
#[derive(Debug)]
pub(super) struct LeaseState {
    /// The run that took it last.
    pub(super) run_id: Option<Uuid>,
    /// Whether that run may still be running.
    pub(super) is_alive: bool,
    /// Whether the clock was set back since a lease of this job was renewed.
    pub(super) is_ahead: bool,
}

/// Locks the lease of a part, so that two calls are decided one after the other.
pub(super) async fn lock(db: Unprepared<'_>, part: Part) -> Result<LeaseState> {
    let Unprepared(connection) = db;
    sqlx::query!(
        "insert into job_leases (job, shard, epoch, expires_at)
         select $1, shard, 0, '-infinity'
           from unnest(array[-1, $2]) as shard
          group by shard
          order by shard
         on conflict do nothing",
        part.job,
        part.shard,
    )
    .execute(Unprepared(connection))
    .await?;
    sqlx::query!(
        "select 1 as one
           from job_leases
          where job = $1
            and shard = -1
            for update",
        part.job,
    )
    .fetch_one(Unprepared(connection))
    .await?;
    sqlx::query_as!(
        LeaseState,
        r#"
        select run_id,
               lease_is_alive(run_id, expires_at, ttl_seconds) as "is_alive!",
               exists (
                   select from job_leases l
                    where l.job = $1
                      and l.run_id is not null
                      and lease_is_ahead(l.expires_at, l.ttl_seconds)
               ) as "is_ahead!"
          from job_leases
         where job = $1
           and shard = $2
           for update
        "#,
        part.job,
        part.shard,
    )
    .fetch_one(Unprepared(connection))
    .await
}

/// Takes the lease for `run_id`, with the next epoch. Call it with the lease
/// locked and found free.
pub(super) async fn take(
    db: Unprepared<'_>,
    part: Part,
    run_id: Uuid,
    ttl: Duration,
) -> Result<Lease> {
    let epoch = sqlx::query_scalar!(
        "update job_leases
            set epoch = epoch + 1,
                shard_count = $5,
                run_id = $3,
                batches = 0,
                ttl_seconds = $4,
                expires_at = clock_timestamp() + make_interval(secs => $4)
          where job = $1
            and shard = $2
         returning epoch",
        part.job,
        part.shard,
        run_id,
        ttl.as_secs_f64(),
        part.count,
    )
    .fetch_one(db)
    .await?;
    Ok(Lease {
        job: part.job,
        shard: part.shard,
        epoch,
        run_id,
        ttl,
        committed: Arc::default(),
    })
}

/// Lets the lease last its length from now, and counts one more batch where one
/// begins; answers how many batches of its run are there. `None` when another
/// run holds it by now.
pub(super) async fn renew(
    db: Unprepared<'_>,
    lease: &Lease,
    begins_batch: bool,
) -> Result<Option<i64>> {
    sqlx::query_scalar!(
        "update job_leases
            set expires_at = clock_timestamp() + make_interval(secs => $5),
                ttl_seconds = $5,
                batches = batches + $6
          where job = $1
            and shard = $2
            and epoch = $3
            and run_id = $4
         returning batches",
        lease.job,
        lease.shard,
        lease.epoch,
        lease.run_id,
        lease.ttl.as_secs_f64(),
        i64::from(begins_batch),
    )
    .fetch_optional(db)
    .await
}

/// Gives the lease back, which makes it free whatever the clock says; answers
/// how many batches of its run are there. `None` when another run holds it.
pub(super) async fn release(db: Unprepared<'_>, lease: &Lease) -> Result<Option<i64>> {
    sqlx::query_scalar!(
        "update job_leases
            set expires_at = clock_timestamp(),
                run_id = null
          where job = $1
            and shard = $2
            and epoch = $3
            and run_id = $4
         returning batches",
        lease.job,
        lease.shard,
        lease.epoch,
        lease.run_id,
    )
    .fetch_optional(db)
    .await
}
