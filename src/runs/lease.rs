//! The lease: who may work on a job, and until when.
//!
//! Owns taking and freeing `job_leases`; renewing it is the fence's part of
//! every batch. Time is the database's clock, so replicas need not agree on
//! theirs. The row stays when the lease is free: its epoch never starts over.
//!
//! Shards of one division work side by side; those of another, and the whole,
//! have rows in common with them and wait. So that two calls are decided one
//! after the other whatever they divide by, each first locks the row of shard
//! -1, which no batch touches, then the row of its own shard, then those of
//! other divisions; rows of the ledger come after all of them.

use std::time::Duration;

use sqlx::Result;
use uuid::Uuid;

use super::Call;
use crate::database::Unnamed;
use crate::jobs::fence::Lease;

/// The shard of a run that only publishes: its shards may begin beside it.
pub(super) const PUBLISHING: i32 = -1;

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
            Some(count) => (PUBLISHING, i32::try_from(count).unwrap_or(i32::MAX)),
            None => call.options.shard_of(),
        };
        Self {
            job: call.job.name,
            shard,
            count,
        }
    }
}

/// The lease as it stands, locked until the transaction ends.
#[derive(Debug)]
pub(super) struct Held {
    /// The run that took it last.
    pub(super) run_id: Option<Uuid>,
    /// Whether that run may still be at work.
    pub(super) is_alive: bool,
}

/// Locks the lease of a part, so that two calls are decided one after the other.
pub(super) async fn lock(db: Unnamed<'_>, part: Part) -> Result<Held> {
    let Unnamed(connection) = db;
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
    .execute(Unnamed(connection))
    .await?;
    sqlx::query!(
        "select 1 as one
           from job_leases
          where job = $1
            and shard = -1
            for update",
        part.job,
    )
    .fetch_one(Unnamed(connection))
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
        part.job,
        part.shard,
    )
    .fetch_one(Unnamed(connection))
    .await
}

/// Whether a run may be at work that divides the rows in another way.
pub(super) async fn is_divided_otherwise(db: Unnamed<'_>, part: Part) -> Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from job_leases
             where job = $1
               and shard_count <> $2
               and shard <> $3
               and expires_at > clock_timestamp()
        ) as "is_divided!"
        "#,
        part.job,
        part.count,
        part.shard,
    )
    .fetch_one(db)
    .await
}

/// Ends the leases of other divisions that ran out, so that a run that comes
/// back late cannot renew its own; waits for a batch in flight, which may
/// just have renewed it. `false` when one did: then it is alive.
pub(super) async fn end_other_divisions(db: Unnamed<'_>, part: Part) -> Result<bool> {
    let Unnamed(connection) = db;
    sqlx::query!(
        "update job_leases
            set epoch = epoch + 1,
                run_id = null
          where job = $1
            and shard_count <> $2
            and shard <> $3
            and run_id is not null
            and expires_at <= clock_timestamp()",
        part.job,
        part.count,
        part.shard,
    )
    .execute(Unnamed(connection))
    .await?;
    Ok(!is_divided_otherwise(Unnamed(connection), part).await?)
}

/// Takes the lease for `run_id`, with the next epoch. Call it with the lease
/// locked and found free.
pub(super) async fn take(
    db: Unnamed<'_>,
    part: Part,
    run_id: Uuid,
    ttl: Duration,
) -> Result<Lease> {
    let epoch = sqlx::query_scalar!(
        "update job_leases
            set epoch = epoch + 1,
                shard_count = $5,
                run_id = $3,
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

/// The live run that keeps `call` from its rows, where it will not do its
/// work: a rehearsal, a part, a replay, or a run of less.
pub(super) async fn in_the_way(db: Unnamed<'_>, call: &Call) -> Result<Option<Uuid>> {
    let part = Part::of(call);
    let alive = sqlx::query!(
        r#"
        select r.id,
               not r.dry_run
               and not r.options ?| array['as_of', 'gym_id', 'limit']
               and (r.options ? 'force' or not $4)
               and (r.shard_count = 1
                    or r.shard = -1
                    or (r.shard = $2 and r.shard_count = $3)) as "does_it_all!"
          from job_runs r
          join job_leases l
            on l.job = r.job
           and l.run_id = r.id
         where r.job = $1
           and r.status = 'running'
           and l.expires_at > clock_timestamp()
           and (r.shard = $2 or r.shard_count <> $3)
         order by 2 desc
         limit 1
        "#,
        part.job,
        part.shard,
        part.count,
        call.options.force,
    )
    .fetch_optional(db)
    .await?;
    Ok(alive.filter(|run| !run.does_it_all).map(|run| run.id))
}
