-- QStash tells of a message that it has given up on once, or twice, or late. So a message is one row here, however often
-- it is told of, and the row knows which run showed that the schedule works again: an alert stands open exactly as long
-- as a row without such a run does. What QStash forwards to us, our own secret, has no column here.

create table delivery_failures (
    id uuid primary key default gen_random_uuid(),
    source_message_id text not null unique,
    job text not null,
    schedule_id text, -- as QStash named it; null in a continuation
    counts_for text not null, -- the schedule whose alert it opens: its own, else the job's
    shard int not null default 0,
    shards int not null default 1,
    dry_run boolean not null default false, -- a rehearsal that fails alerts nobody
    status int, -- of the last answer; null when there was none
    retried int,
    max_retries int,
    dlq_id text,
    url text,
    response text, -- its beginning
    options jsonb, -- the message's body, where it was options of ours
    failed_at timestamptz not null, -- its last attempt, as far as it is known
    received_at timestamptz not null default now(),
    mended_at timestamptz,
    mended_by uuid, -- the run that succeeded after it; no foreign key: runs are pruned
    constraint delivery_failures_shard_known
        check (shard >= 0 and shards > 0)
);

-- The settlement of a success: what did it mend?
create index delivery_failures_unmended
    on delivery_failures (counts_for)
    where mended_at is null
        and not dry_run;

-- cleanup-old-data: the oldest first.
create index delivery_failures_by_age
    on delivery_failures (received_at, id);

alter table retention_policies
    drop constraint retention_policies_floor,
    add constraint retention_policies_floor
    check (
        min_days >= case
            when target in ('system_logs', 'job_runs', 'delivery_failures') then 30
            else 1
        end
    );

insert into retention_policies
    (target, action, keep_days, min_days, legal_basis)
values
    ('delivery_failures', 'delete', 365, 30,
        'CNIL, recommendation of 14 October 2021: logs are kept for six to twelve months');
