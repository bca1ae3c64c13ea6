-- How long data is kept is a decision of the controller, not of a programmer, so it is kept in rows that can be shown
-- to an auditor, each with its reason. What a row may not do is go under the floor: that is fixed here.
-- The log of erasures names no one, since it must outlive what it tells of.

create table retention_policies (
    target text primary key, -- the table's name
    action text not null,
    keep_days int not null,
    min_days int not null default 1,
    legal_basis text not null,
    enabled boolean not null default true,
    updated_at timestamptz not null default now(),
    constraint retention_policies_action_known
        check (action in ('delete', 'anonymise', 'redact')),
    constraint retention_policies_floor
        check (min_days >= case when target in ('system_logs', 'job_runs') then 30 else 1 end)
);

insert into retention_policies
    (target, action, keep_days, min_days, legal_basis)
values
    ('conversation_events', 'delete', 90, 1,
        'GDPR art. 5(1)(e): transcripts of a voice assistant, kept only as long as a complaint needs them'),
    ('conversation_sessions', 'redact', 30, 1,
        'GDPR art. 5(1)(c): technical metadata of a closed session serves no purpose after a month'),
    ('system_logs', 'delete', 180, 30,
        'CNIL, recommendation of 14 October 2021: logs are kept for six to twelve months'),
    ('job_runs', 'delete', 365, 30,
        'CNIL, recommendation of 14 October 2021: logs are kept for six to twelve months'),
    ('kiosk_heartbeats', 'delete', 30, 1,
        'no personal data: kept as long as two reports need them'),
    ('alerts', 'delete', 365, 1,
        'GDPR art. 5(1)(e): a resolved alert may point at a member and is of use for a year'),
    ('members', 'anonymise', 1095, 1,
        'CNIL: inactive customers, three years after the last contact'),
    ('member_churn_history', 'delete', 400, 1,
        'GDPR art. 5(1)(e): a year and its margin, to compare the model with the year before'),
    ('visits', 'delete', 1095, 1,
        'GDPR art. 5(1)(e): contract and attendance, three years as for the member');

create table legal_holds (
    id uuid primary key default gen_random_uuid(),
    subject_type text not null,
    subject_id uuid not null,
    reason text not null,
    until timestamptz, -- null = until somebody lifts it
    created_at timestamptz not null default now(),
    constraint legal_holds_subject_known
        check (subject_type in ('member', 'gym'))
);

-- cleanup-old-data: every statement asks whether its row is held.
create index legal_holds_of_subject
    on legal_holds (subject_type, subject_id);

create table erasure_log (
    id uuid primary key default gen_random_uuid(),
    run_id uuid, -- no foreign key: the ledger is pruned, this log is not
    target text not null,
    action text not null,
    cutoff timestamptz not null,
    affected bigint not null,
    at timestamptz not null default now(),
    constraint erasure_log_action_known
        check (action in ('delete', 'anonymise', 'redact')),
    constraint erasure_log_affected_not_negative
        check (affected >= 0)
);
