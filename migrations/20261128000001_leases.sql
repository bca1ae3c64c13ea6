-- A lease that was given back used to be free from a moment on. When the database's clock was set back, that moment lay
-- ahead again, and every tick was skipped until the clock had caught up. Now a lease is held only while it names a run.
-- One that is held knows its length too: an end that lies further ahead than that was written before the clock was set
-- back, and keeps nobody out.
-- Batches do not wait for the disk, so a crash of Postgres may undo the last of them. A run counts its batches here, in
-- the transaction of each: when fewer are there than it has committed, it knows that some are gone.

alter table job_leases
    add column ttl_seconds double precision not null default 60, -- the length of the lease, from its last renewal on
    add column batches bigint not null default 0; -- that the run has committed

-- A second is left for a clock that is being adjusted.
create function lease_is_ahead(expires_at timestamptz, ttl_seconds double precision)
returns boolean
language sql
volatile
as $$
    select expires_at > clock_timestamp() + make_interval(secs => ttl_seconds + 1)
$$;

create function lease_is_alive(run_id uuid, expires_at timestamptz, ttl_seconds double precision)
returns boolean
language sql
volatile
as $$
    select run_id is not null
        and expires_at > clock_timestamp()
        and not expires_at > clock_timestamp() + make_interval(secs => ttl_seconds + 1)
$$;
