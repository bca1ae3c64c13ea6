-- A week is reported once, however often the job runs: the key is the gym and its ISO week, and the content hash tells
-- a report that changed from one that was merely made again. Deliveries are rows of their own, so that a rerun after a
-- crash mails those it missed and nobody twice. Reports hold ids rather than names: erasing a member is then enough.

create table weekly_reports (
    id uuid primary key default gen_random_uuid(),
    gym_id uuid not null references gyms,
    iso_year int not null,
    iso_week int not null,
    period_start timestamptz not null,
    period_end timestamptz not null,
    timezone text not null,
    schema_version int not null default 1,
    metrics jsonb not null default '{}',
    insights jsonb not null default '[]',
    recommendations jsonb not null default '[]',
    content_hash text not null,
    generated_at timestamptz not null default now(),
    constraint weekly_reports_gym_week_key
        unique (gym_id, iso_year, iso_week),
    constraint weekly_reports_week_exists
        check (iso_week between 1 and 53),
    constraint weekly_reports_period_not_empty
        check (period_start < period_end)
);

create table report_recipients (
    gym_id uuid not null references gyms,
    email text not null,
    locale text not null default 'fr',
    primary key (gym_id, email),
    constraint report_recipients_locale_well_formed
        check (locale ~ '^[a-z]{2}(-[A-Z]{2})?$')
);

create table report_deliveries (
    report_id uuid not null references weekly_reports,
    recipient text not null,
    sent_at timestamptz, -- null = not sent, and `error` says why
    error text,
    primary key (report_id, recipient)
);
