-- no-transaction
-- Replaced by job_runs_token_spent_once and job_runs_of_token. Concurrently, so that a run under way is not waited for with
-- everybody else behind.

drop index concurrently if exists job_runs_signature_spent_once;
