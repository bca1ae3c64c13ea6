-- The service keeps nothing between two requests, so whatever must survive one is here: what ran and how it ended, who
-- holds a job right now, and which job somebody stopped. Deliveries come twice, late and at once; a message id that is
-- found again, a signature that was spent, and an epoch that only grows are how a replica knows without asking another.

create table system_logs (
    id bigint generated always as identity primary key,
    "timestamp" timestamptz not null default now(),
    log_type text not null,
    level text not null default 'info', -- unchecked: others write here too
    message text not null,
    details jsonb not null default '{}',
    run_id uuid -- no foreign key: logs and runs are pruned independently
);

-- `where log_type like 'cron_%' order by "timestamp" desc limit 50`; cleanup-old-data: the oldest first.
create index system_logs_by_time
    on system_logs ("timestamp");

-- The same for one rare kind of log, where walking back through time would read too much.
create index system_logs_by_type
    on system_logs (log_type text_pattern_ops, "timestamp" desc);

create table job_runs (
    id uuid primary key, -- version 7, made by the service: ids sort by time
    job text not null,
    shard int not null default 0,
    trigger text not null,
    actor text,
    reason text,
    message_id text,
    schedule_id text,
    attempt int not null default 1,
    signature_jti text,
    options jsonb not null default '{}',
    dry_run boolean not null default false,
    status text not null default 'running',
    epoch bigint,
    continuation_of uuid references job_runs on delete set null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    results jsonb not null default '{}',
    error text,
    constraint job_runs_trigger_known
        check (trigger in ('qstash', 'operator', 'cli')),
    constraint job_runs_status_known
        check (status in ('running', 'succeeded', 'partial', 'skipped', 'failed', 'fenced', 'abandoned')),
    constraint job_runs_attempt_positive
        check (attempt > 0)
);

-- Status, metrics and overdue checks: the latest runs of a job.
create index job_runs_of_job
    on job_runs (job, started_at desc);

-- Replay: has this message been settled already?
create index job_runs_of_message
    on job_runs (message_id, job)
    where message_id is not null;

-- Replay: a spent signature never runs twice, not even when two replicas read it at once.
create unique index job_runs_signature_spent_once
    on job_runs (signature_jti)
    where signature_jti is not null;

-- cleanup-old-data: deleting a run sets this to null in its continuation.
create index job_runs_continuations
    on job_runs (continuation_of)
    where continuation_of is not null;

-- The next taker of a lease: which run did its predecessor leave behind?
create index job_runs_unfinished
    on job_runs (job, shard)
    where status = 'running';

-- cleanup-old-data: the oldest first.
create index job_runs_by_age
    on job_runs (started_at);

-- One row per job and shard, rewritten by every batch: kept half empty so that those updates stay HOT.
-- No foreign key to the run, because the lease outlives it: the epoch must never start over.
create table job_leases (
    job text not null,
    shard int not null default 0,
    epoch bigint not null default 1,
    run_id uuid,
    expires_at timestamptz not null,
    primary key (job, shard)
) with (fillfactor = 50);

create table job_pauses (
    job text primary key,
    reason text,
    paused_by text,
    paused_at timestamptz not null default now(),
    until timestamptz -- null = until somebody resumes it
);
