-- A night's run reads every gym in one statement, so one malformed row would fail them all: time zones and opening
-- hours are therefore checked when they are written, not when they are read. A visit and a conversation outlive the
-- name of their member: a member is anonymised in place and never deleted, which is why nothing here cascades.

create table gyms (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    slug text not null unique,
    status text not null default 'pending_approval',
    timezone text not null default 'Europe/Paris',
    locale text not null default 'fr',
    opening_hours jsonb, -- null = always open
    created_at timestamptz not null default now(),
    constraint gyms_status_known
        check (status in ('pending_approval', 'active', 'suspended', 'cancelled')),
    constraint gyms_timezone_known -- an unknown name raises an error here
        check (timestamptz '2026-01-01 00:00:00+00' at time zone timezone is not null),
    constraint gyms_locale_well_formed
        check (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
    constraint gyms_opening_hours_well_formed -- {"mon": [["06:00", "22:00"], ...], ...}
        check (
            opening_hours is null
            or (
                jsonb_typeof(opening_hours) = 'object'
                and opening_hours - array['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] = '{}'
                and not jsonb_path_exists(opening_hours, 'strict $.* ? (@.type() != "array")', silent => true)
                and not jsonb_path_exists(opening_hours, 'strict $.*[*] ? (@.type() != "array")', silent => true)
                and not jsonb_path_exists(opening_hours, 'strict $.*[*] ? (@.size() != 2)', silent => true)
                and not jsonb_path_exists(
                    opening_hours,
                    'strict $.*[*][*] ? (@.type() != "string" || !(@ like_regex "^([01][0-9]|2[0-3]):[0-5][0-9]$"))',
                    silent => true
                )
            )
        )
);

create table members (
    id uuid primary key default gen_random_uuid(),
    gym_id uuid not null references gyms,
    badge_id text,
    first_name text, -- the identifying columns may be null: that is what anonymising leaves
    last_name text,
    email text,
    status text not null default 'active',
    joined_on date not null default current_date,
    membership_type text not null default 'standard',
    contract_months int,
    membership_ends_on date,
    cancelled_at timestamptz,
    frozen_until date,
    last_contact_at timestamptz,
    churn_opt_out boolean not null default false,
    anonymised_at timestamptz,
    created_at timestamptz not null default now(),
    constraint members_gym_badge_key
        unique (gym_id, badge_id),
    constraint members_status_known
        check (status in ('active', 'frozen', 'cancelled', 'expired', 'anonymised')),
    constraint members_contract_positive
        check (contract_months > 0)
);

-- daily-churn-analysis: keyset batches over those it may score; weekly-reports: active members of a gym.
create index members_active_of_gym
    on members (gym_id, id)
    where status = 'active';

-- cleanup-old-data: the only members it may anonymise.
create index members_gone
    on members (id)
    where status in ('cancelled', 'expired');

create table visits (
    id bigint generated always as identity primary key,
    gym_id uuid not null references gyms,
    member_id uuid not null references members,
    checked_in_at timestamptz not null,
    checked_out_at timestamptz,
    source text not null default 'badge',
    constraint visits_source_known
        check (source in ('badge', 'kiosk', 'manual', 'import')),
    constraint visits_end_after_start
        check (checked_out_at >= checked_in_at)
);

-- daily-churn-analysis: a member's rhythm, read from the index alone; cleanup-old-data: the last contact of a member.
create index visits_of_member
    on visits (member_id, checked_in_at);

-- weekly-reports: the week of a gym.
create index visits_of_gym
    on visits (gym_id, checked_in_at);

-- cleanup-old-data: the oldest first.
create index visits_by_age
    on visits (checked_in_at);

create table conversation_sessions (
    id uuid primary key default gen_random_uuid(),
    gym_id uuid not null references gyms,
    kiosk_id uuid,
    member_id uuid references members,
    state text not null default 'active',
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    turn_count int not null default 0,
    duration_seconds int,
    sentiment text,
    sentiment_score real,
    topics text[] not null default '{}',
    metadata jsonb not null default '{}',
    redacted_at timestamptz, -- says that it was done, so that no night does it again
    constraint conversation_sessions_state_known
        check (state in ('active', 'closed', 'error')),
    constraint conversation_sessions_sentiment_known
        check (sentiment in ('positive', 'neutral', 'negative', 'mixed')),
    constraint conversation_sessions_sentiment_score_in_range
        check (sentiment_score between -1 and 1)
);

-- weekly-reports: the week of a gym.
create index conversation_sessions_of_gym
    on conversation_sessions (gym_id, started_at);

-- daily-churn-analysis: the negative share; cleanup-old-data: the last contact of a member.
create index conversation_sessions_of_member
    on conversation_sessions (member_id, started_at)
    where member_id is not null;

-- cleanup-old-data: closed long enough ago and not yet redacted.
create index conversation_sessions_to_redact
    on conversation_sessions (ended_at)
    where redacted_at is null;

create table conversation_events (
    id bigint generated always as identity primary key,
    session_id uuid not null references conversation_sessions,
    event_type text not null,
    transcript text,
    payload jsonb not null default '{}',
    occurred_at timestamptz not null default now()
);

-- cleanup-old-data: the oldest first.
create index conversation_events_by_age
    on conversation_events (occurred_at);

create index conversation_events_of_session
    on conversation_events (session_id);

-- Rewritten every night. Only a change of level touches an index, so the rest of the rewriting stays HOT.
-- `gym_id` is a copy of the member's, and the member is the row this one belongs to.
create table member_churn (
    member_id uuid primary key references members,
    gym_id uuid not null,
    score real,
    level text not null,
    factors jsonb not null default '[]',
    model_version text not null,
    scored_on date not null,
    computed_at timestamptz not null default now(),
    constraint member_churn_score_in_range
        check (score between 0 and 1),
    constraint member_churn_level_known
        check (level in ('low', 'medium', 'high', 'critical', 'new', 'never_visited')),
    constraint member_churn_scored_or_said_why_not
        check ((score is null) = (level in ('new', 'never_visited')))
) with (fillfactor = 70);

-- weekly-reports: who is at risk, and how many they truly are.
create index member_churn_at_risk
    on member_churn (gym_id)
    where level in ('high', 'critical');

-- No foreign key: each night adds a row for every member, copied from `member_churn`, whose member was checked when its
-- row was first written; checking again would cost the night close to half as much as the writing.
create table member_churn_history (
    member_id uuid not null,
    scored_on date not null,
    gym_id uuid not null,
    score real,
    level text not null,
    model_version text not null,
    outcome boolean, -- null until the thirty days are over
    primary key (member_id, scored_on),
    constraint member_churn_history_score_in_range
        check (score between 0 and 1),
    constraint member_churn_history_level_known
        check (level in ('low', 'medium', 'high', 'critical', 'new', 'never_visited')),
    constraint member_churn_history_scored_or_said_why_not
        check ((score is null) = (level in ('new', 'never_visited')))
);

-- cleanup-old-data: the oldest first; daily-churn-analysis: a day's predictions; weekly-reports: the levels of a day.
create index member_churn_history_by_day
    on member_churn_history (scored_on, gym_id);

-- daily-churn-analysis: predictions whose outcome is still owed, also after missed nights.
create index member_churn_history_open
    on member_churn_history (scored_on)
    where outcome is null and score is not null;
