-- An abandoned order must give its stock back exactly once, however often it is tried and whoever else is trying.
-- So what decides that is a row rather than arithmetic: a reservation flips from ACTIVE to RELEASED, and only what was
-- flipped is subtracted. `reserved` may not fall below zero, because a total that does is drift somebody must hear of.
-- No foreign key cascades: these are the books, and no job may make a row of them vanish.

create table orders (
    id uuid primary key default gen_random_uuid(),
    order_number text not null unique,
    status text not null default 'PENDING',
    currency text not null default 'eur',
    total_amount bigint not null default 0, -- minor units, as everywhere
    expires_at timestamptz, -- null = never expires
    expired_at timestamptz,
    paid_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint orders_status_known
        check (status in ('PENDING', 'REQUIRES_PAYMENT', 'PAID', 'EXPIRED', 'CANCELED', 'REFUNDED')),
    constraint orders_expires_at_finite
        check (isfinite(expires_at)),
    constraint orders_currency_lower_iso
        check (currency ~ '^[a-z]{3}$'),
    constraint orders_total_not_negative
        check (total_amount >= 0)
);

-- expire-stale-orders: the pick, oldest first. It holds unpaid orders only, so it stays as small as the day's baskets.
create index orders_unpaid_by_expiry
    on orders (expires_at, id)
    where status in ('PENDING', 'REQUIRES_PAYMENT');

create table order_items (
    id uuid primary key default gen_random_uuid(),
    order_id uuid not null references orders,
    sku text not null,
    quantity int not null,
    unit_price_amount bigint not null,
    constraint order_items_quantity_positive
        check (quantity > 0),
    constraint order_items_price_not_negative
        check (unit_price_amount >= 0)
);

create index order_items_of_order
    on order_items (order_id);

-- `reserved` is rewritten by every basket and stands in no index, so with room left on the page its updates stay HOT.
create table stock_levels (
    id uuid primary key default gen_random_uuid(),
    sku text not null,
    location text not null,
    on_hand int not null default 0,
    reserved int not null default 0,
    constraint stock_levels_sku_location_key
        unique (sku, location),
    constraint stock_levels_reserved_not_negative
        check (reserved >= 0)
) with (fillfactor = 70);

create table stock_reservations (
    id uuid primary key default gen_random_uuid(),
    order_id uuid not null references orders,
    stock_level_id uuid not null references stock_levels,
    quantity int not null,
    status text not null default 'ACTIVE',
    created_at timestamptz not null default now(),
    released_at timestamptz,
    release_reason text,
    constraint stock_reservations_quantity_positive
        check (quantity > 0),
    constraint stock_reservations_status_known
        check (status in ('ACTIVE', 'RELEASED', 'CONSUMED'))
);

-- expire-stale-orders: what a batch of orders still holds.
create index stock_reservations_active_of_order
    on stock_reservations (order_id)
    where status = 'ACTIVE';

create table payment_intents (
    id uuid primary key default gen_random_uuid(),
    order_id uuid references orders,
    stripe_payment_intent_id text not null unique,
    checkout_session_id text,
    status text not null default 'requires_payment_method',
    amount bigint not null,
    currency text not null default 'eur',
    cancellation_reason text,
    canceled_at timestamptz,
    cancel_attempts int not null default 0,
    last_error text,
    last_synced_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint payment_intents_status_known
        check (status in (
            'requires_payment_method', 'requires_confirmation', 'requires_action', 'processing',
            'requires_capture', 'succeeded', 'canceled', 'missing'
        )),
    constraint payment_intents_currency_lower_iso
        check (currency ~ '^[a-z]{3}$'),
    constraint payment_intents_amount_not_negative
        check (amount >= 0)
);

-- expire-stale-orders: the intents of a batch of orders, and the re-check that no new one appeared.
create index payment_intents_of_order
    on payment_intents (order_id);

-- cleanup-stale-payment-intents: the keyset walk over what is not settled. A statement must spell the statuses out to
-- be matched with this index; a bound array of them would not be.
create index payment_intents_open_by_age
    on payment_intents (created_at, id)
    where status not in ('succeeded', 'canceled', 'missing');

-- Only orders that could not be expired have a row; without one, an order is simply due.
create table order_expirations (
    order_id uuid primary key references orders,
    attempts int not null default 1,
    next_attempt_at timestamptz not null default now(),
    last_outcome text not null,
    last_error text,
    updated_at timestamptz not null default now(),
    constraint order_expirations_outcome_known
        check (last_outcome in ('paid', 'authorized', 'processing', 'deferred', 'missing', 'error'))
);

-- expire-stale-orders: whose turn it is again.
create index order_expirations_due
    on order_expirations (next_attempt_at);

create table audit_events (
    id uuid primary key default gen_random_uuid(),
    event_type text not null,
    entity_type text not null,
    entity_id text not null,
    run_id uuid, -- no foreign key: the ledger is pruned, the audit trail is not
    actor text not null default 'system',
    payload jsonb not null default '{}',
    occurred_at timestamptz not null default now()
);

create index audit_events_of_entity
    on audit_events (entity_type, entity_id);

-- expire-stale-orders: an order that was paid when it should have expired is said so once, however often it is looked
-- at. The other events need no such guard, because each is written with the one change of state that it tells of.
create unique index audit_events_once
    on audit_events (entity_id)
    where event_type = 'local.order.paid_at_expiry';
