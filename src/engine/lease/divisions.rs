//! Divisions of a job's rows: which runs may not work side by side.
//!
//! Shards of one division work side by side; those of another, and the whole,
//! have rows in common with them and wait. Writes only the leases of other
//! divisions that ran out.

use sqlx::Result;
use uuid::Uuid;

use super::Part;
use crate::database::Unprepared;
use crate::engine::Call;

/// Whether a run may be running that divides the rows in another way.
pub(in crate::engine) async fn is_divided_otherwise(
    db: Unprepared<'_>,
    part: Part,
) -> Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from job_leases
             where job = $1
               and shard_count <> $2
               and shard <> $3
               and lease_is_alive(run_id, expires_at, ttl_seconds)
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
pub(in crate::engine) async fn end_other_divisions(db: Unprepared<'_>, part: Part) -> Result<bool> {
    let Unprepared(connection) = db;
    sqlx::query!(
        "update job_leases
            set epoch = epoch + 1,
                run_id = null
          where job = $1
            and shard_count <> $2
            and shard <> $3
            and run_id is not null
            and not lease_is_alive(run_id, expires_at, ttl_seconds)",
        part.job,
        part.count,
        part.shard,
    )
    .execute(Unprepared(connection))
    .await?;
    Ok(!is_divided_otherwise(Unprepared(connection), part).await?)
}

/// The live run that keeps `call` from its rows, where it will not do the work
/// of `call`: a dry run, a shard, a replay, or a run with a narrower scope.
pub(in crate::engine) async fn blocking_run(
    db: Unprepared<'_>,
    call: &Call,
) -> Result<Option<Uuid>> {
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
           and lease_is_alive(l.run_id, l.expires_at, l.ttl_seconds)
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
