//! The lease: who may work on a job, and until when.
//!
//! Owns `job_leases`: taking, renewing and freeing. Time is the database's
//! clock, so replicas need not agree on theirs. The row stays when the lease is
//! free: its epoch never starts over.
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
use crate::database::Unprepared;

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
               expires_at > clock_timestamp() as "is_alive!"
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

/// Whether a run may be running that divides the rows in another way.
pub(super) async fn is_divided_otherwise(db: Unprepared<'_>, part: Part) -> Result<bool> {
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
pub(super) async fn end_other_divisions(db: Unprepared<'_>, part: Part) -> Result<bool> {
    let Unprepared(connection) = db;
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
    .execute(Unprepared(connection))
    .await?;
    Ok(!is_divided_otherwise(Unprepared(connection), part).await?)
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

/// Lets the lease last `ttl` from now; none at all frees it. `false` when
/// another run holds it by now.
pub(super) async fn extend(db: Unprepared<'_>, lease: &Lease, ttl: Duration) -> Result<bool> {
    let extended = sqlx::query!(
        "update job_leases
            set expires_at = clock_timestamp() + make_interval(secs => $5)
          where job = $1
            and shard = $2
            and epoch = $3
            and run_id = $4",
        lease.job,
        lease.shard,
        lease.epoch,
        lease.run_id,
        ttl.as_secs_f64(),
    )
    .execute(db)
    .await?;
    Ok(extended.rows_affected() == 1)
}

/// The live run that keeps `call` from its rows, where it will not do the work
/// of `call`: a dry run, a shard, a replay, or a run with a narrower scope.
pub(super) async fn blocking_run(db: Unprepared<'_>, call: &Call) -> Result<Option<Uuid>> {
    let part = Part::of(call);
    let alive = sqlx::query!(
        r#"
        select r.id,
               not r.dry_run
               and not r.options ?| array['as_of', 'gym_id', 'limit']
               and (r.options ? 'force' or not $4)
               and (r.shard_count = 1
                    or r.shard = -1
                    or (r.shard = $2 and r.shard_count = $3)) as "covers_call!"
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
    Ok(alive.filter(|run| !run.covers_call).map(|run| run.id))
}
