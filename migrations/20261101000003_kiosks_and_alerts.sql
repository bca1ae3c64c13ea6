-- An alert that repeats every night is an alert nobody reads. The database itself allows one open alert per dedup key,
-- so however many runs find the same trouble, they bump one row, and that row can be resolved when the trouble is over.

-- A kiosk's row is rewritten at every heartbeat: neither its heartbeat nor its status is indexed, and the page has
-- room, so those updates stay HOT.
create table kiosks (
    id uuid primary key default gen_random_uuid(),
    gym_id uuid not null references gyms,
    slug text not null unique,
    name text not null,
    status text not null default 'provisioning',
    last_heartbeat_at timestamptz,
    status_since timestamptz not null default now(),
    heartbeat_interval_seconds int not null default 30,
    maintenance_until timestamptz,
    software_version text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint kiosks_status_known
        check (status in (
            'provisioning', 'pending_approval', 'online', 'degraded', 'offline', 'maintenance', 'retired'
        )),
    constraint kiosks_heartbeat_interval_positive
        check (heartbeat_interval_seconds > 0)
) with (fillfactor = 70);

-- health-check-kiosks, weekly-reports: the kiosks of a gym.
create index kiosks_of_gym
    on kiosks (gym_id);

alter table conversation_sessions
    add constraint conversation_sessions_kiosk_id_fkey
    foreign key (kiosk_id) references kiosks;

create table kiosk_heartbeats (
    id bigint generated always as identity primary key,
    kiosk_id uuid not null references kiosks,
    received_at timestamptz not null default now(), -- our clock
    sent_at timestamptz, -- the kiosk's clock, which may be wrong
    metrics jsonb not null default '{}'
);

-- health-check-kiosks, weekly-reports: uptime, read from the index alone.
create index kiosk_heartbeats_of_kiosk
    on kiosk_heartbeats (kiosk_id, received_at);

-- cleanup-old-data: the oldest first.
create index kiosk_heartbeats_by_age
    on kiosk_heartbeats (received_at);

create table alerts (
    id uuid primary key default gen_random_uuid(),
    gym_id uuid references gyms, -- null = the system's own
    kiosk_id uuid references kiosks,
    member_id uuid references members,
    order_id uuid references orders,
    kind text not null,
    severity text not null default 'warning',
    dedup_key text not null,
    status text not null default 'open',
    title text not null,
    details jsonb not null default '{}',
    recommended_actions jsonb not null default '[]',
    opened_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    occurrences int not null default 1,
    escalated_at timestamptz,
    resolved_at timestamptz,
    resolved_by text,
    constraint alerts_severity_known
        check (severity in ('info', 'warning', 'high', 'critical')),
    constraint alerts_status_known
        check (status in ('open', 'acknowledged', 'resolved', 'dismissed')),
    constraint alerts_occurrences_positive
        check (occurrences > 0)
);

-- Every job that alerts: `on conflict (dedup_key) where status in ('open', 'acknowledged')` bumps instead of adding.
create unique index alerts_one_open_per_dedup_key
    on alerts (dedup_key)
    where status in ('open', 'acknowledged');

-- expire-stale-orders: resolve what belongs to an order that left its unpaid status.
create index alerts_of_order
    on alerts (order_id)
    where order_id is not null;

-- health-check-kiosks: bump, escalate and resolve.
create index alerts_of_kiosk
    on alerts (kiosk_id)
    where kiosk_id is not null;

-- daily-churn-analysis: resolve on leaving the risk; cleanup-old-data: legal holds on a member.
create index alerts_of_member
    on alerts (member_id)
    where member_id is not null;

-- weekly-reports: what stood open in a gym at the end of a week.
create index alerts_of_gym
    on alerts (gym_id, opened_at);

-- cleanup-old-data: the oldest first.
create index alerts_by_resolution
    on alerts (resolved_at)
    where resolved_at is not null;
