-- The tables of a shop or a gym may be views over tables that are another program's: its database is adopted by a file. Who
-- did that, with which file and what the file created is on record here, so that it can be undone to the last index. Our own
-- tables of those names stand aside meanwhile, in a schema of their own, empty and up to date: see docs/adopting.md.

create table adoptions (
    id uuid primary key default gen_random_uuid(),
    ports text[] not null, -- the tables that gave way
    file_name text not null,
    file_sha256 text not null,
    contract int not null, -- the version that was checked
    created jsonb not null, -- what the file created, and what it kept from one before
    foreign_keys text[] not null, -- of our tables to those that gave way
    hanging jsonb not null, -- our views and functions that look at the tables, should they be dropped with the host's
    views_md5 text not null, -- what the views were when they were checked
    applied_at timestamptz not null default now(),
    applied_by text not null,
    dropped_at timestamptz,
    dropped_by text
);
