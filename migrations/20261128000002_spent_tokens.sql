-- no-transaction
-- A token was spent by its first run, also by one that failed: the retry of its message was then answered by that failure,
-- and the work was not done until the next tick. Now a token is spent by a run that is under way or ended well. Built
-- beside the index that it replaces, without keeping writers out.

create unique index concurrently job_runs_token_spent_once
    on job_runs (signature_jti)
    where signature_jti is not null
        and status in ('running', 'succeeded', 'partial', 'skipped');
