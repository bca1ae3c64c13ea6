-- Operators read sums over all runs, and runs are pruned after a year; summing the ledger at every request would also
-- read a row for every five minutes of that year. So each run is added to these totals once, in the transaction that
-- settles it, and `counted` is how that transaction knows that it was. Dry runs did nothing and are never counted.

create table job_totals (
    job text not null,
    kind text not null, -- the name of a count in the job's results
    total bigint not null default 0,
    primary key (job, kind)
) with (fillfactor = 70);

create table job_run_totals (
    job text not null,
    status text not null, -- as it was first settled: an abandoned run that comes back as fenced stays abandoned here
    runs bigint not null default 0,
    duration_ms bigint not null default 0,
    primary key (job, status),
    constraint job_run_totals_runs_positive
        check (runs > 0),
    constraint job_run_totals_duration_not_negative
        check (duration_ms >= 0)
) with (fillfactor = 70);

alter table job_runs
    add column counted boolean not null default false;

-- The settlement of a run: which of this job's runs are not in the totals yet?
create index job_runs_uncounted
    on job_runs (job)
    where not counted
        and not dry_run;

-- Status: when did the job last succeed, also when that was long ago.
create index job_runs_successes
    on job_runs (job, started_at desc)
    where status = 'succeeded'
        and not dry_run;

-- Everything settled so far.
insert into job_totals (job, kind, total)
select job, kind, sum((results ->> kind)::numeric)::bigint
from job_runs
cross join unnest(array[
    'orders_expired', 'orders_paid', 'orders_deferred', 'payment_intents_canceled', 'stock_released'
]) as kind
where job = 'expire-stale-orders'
    and status <> 'running'
    and not dry_run
    and jsonb_typeof(results -> kind) = 'number'
group by job, kind;

insert into job_run_totals (job, status, runs, duration_ms)
select
    job,
    status,
    count(*),
    coalesce(sum(greatest(trunc(extract(epoch from finished_at - started_at) * 1000), 0)), 0)::bigint
from job_runs
where status <> 'running'
    and not dry_run
group by job, status;

update job_runs
set counted = true
where status <> 'running'
    and not dry_run;
