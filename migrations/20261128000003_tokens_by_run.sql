-- no-transaction
-- Replay: all runs of a token. Two runs of one token may exist now, so this index is not unique.

create index concurrently job_runs_of_token
    on job_runs (signature_jti)
    where signature_jti is not null;
