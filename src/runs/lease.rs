//! The lease: who may work on a job, and until when.
//!
//! Owns taking and freeing `job_leases`; renewing it is the fence's part of
//! every batch. Time is the database's clock, so replicas need not agree on
//! theirs. The row stays when the lease is free: its epoch never starts over.

use std::time::Duration;

use sqlx::Result;
use uuid::Uuid;

use crate::database::Unnamed;
use crate::jobs::fence::Lease;

/// The lease as it stands, locked until the transaction ends.
#[derive(Debug)]
pub(super) struct Held {
    /// The run that took it last.
    pub(super) run_id: Option<Uuid>,
    /// Whether that run may still be at work.
    pub(super) is_alive: bool,
}

/// Locks the lease of a shard, so that two calls are decided one after the other.
pub(super) async fn lock(db: Unnamed<'_>, job: &str, shard: i32) -> Result<Held> {
    let Unnamed(connection) = db;
    sqlx::query!(
        "insert into job_leases (job, shard, epoch, expires_at)
         values ($1, $2, 0, '-infinity')
         on conflict do nothing",
        job,
        shard,
    )
    .execute(Unnamed(connection))
    .await?;
    sqlx::query_as!(
        Held,
        r#"
        select run_id,
               expires_at > clock_timestamp() as "is_alive!"
          from job_leases
         where job = $1
           and shard = $2
           for update
        "#,
        job,
        shard,
    )
    .fetch_one(Unnamed(connection))
    .await
}

/// Takes the lease for `run_id`, with the next epoch. Call it with the lease
/// locked and found free.
pub(super) async fn take(
    db: Unnamed<'_>,
    job: &'static str,
    shard: i32,
    run_id: Uuid,
    ttl: Duration,
) -> Result<Lease> {
    let epoch = sqlx::query_scalar!(
        "update job_leases
            set epoch = epoch + 1,
                run_id = $3,
                expires_at = clock_timestamp() + make_interval(secs => $4)
          where job = $1
            and shard = $2
         returning epoch",
        job,
        shard,
        run_id,
        ttl.as_secs_f64(),
    )
    .fetch_one(db)
    .await?;
    Ok(Lease {
        job,
        shard,
        epoch,
        run_id,
        ttl,
    })
}

/// Frees the lease; `false` when another run holds it by now.
pub(super) async fn free(db: Unnamed<'_>, lease: &Lease) -> Result<bool> {
    let freed = sqlx::query!(
        "update job_leases
            set expires_at = clock_timestamp()
          where job = $1
            and shard = $2
            and epoch = $3
            and run_id = $4",
        lease.job,
        lease.shard,
        lease.epoch,
        lease.run_id,
    )
    .execute(db)
    .await?;
    Ok(freed.rows_affected() == 1)
}
