-- A run that is out of budget, or that divides its work, publishes messages to its own route. What it published, what
-- came of it and where it stopped belongs to its row, so that a replay on any replica answers alike, and a run that is
-- continued is continued from there.

alter table job_runs
    add column shard_count int not null default 1,
    add column chain_position int not null default 1, -- 1 = no continuation; counts within one shard
    add column published text[] not null default '{}', -- QStash's ids of the messages this run published
    add column place jsonb, -- where a partial run stopped, in the words of its job
    add constraint job_runs_shard_count_positive
        check (shard_count > 0),
    add constraint job_runs_chain_position_positive
        check (chain_position > 0);

-- Shard 2 of 4 and shard 1 of 2 have rows in common. Which division a lease was taken for says which others it excludes.
-- The row with shard -1 is the one that every taker of the job locks first, and the lease of a run that publishes shards.
alter table job_leases
    add column shard_count int not null default 1,
    add constraint job_leases_shard_count_positive
        check (shard_count > 0);
