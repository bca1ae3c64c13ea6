-- A vending shop on Prisma, adopted: its orders, payments and stock stand for ours.
--
--   jarvis-cron adopt check --file shop-prisma.sql --ports shop      tries it and changes nothing
--   jarvis-cron adopt apply --file shop-prisma.sql --ports shop
--   jarvis-cron adopt drop                                           gives the shop its database back
--
-- How to read it, and how to write one for another shop (docs/adopting.md has the contract):
--
-- * A name without a schema is in our schema (DATABASE_SCHEMA), where our own tables have stepped aside. The shop's own are
--   written with theirs: public.orders. The file runs in one transaction, and may only create.
-- * Each view has the columns that the contract names. What reads otherwise in the shop is translated in the view, and
--   translated back in its trigger. What the shop has no column for is kept in a table `host_…` of this file, made with
--   `if not exists`: it outlives `adopt drop` while rows are in it.
-- * The triggers run with the rights of the role that applies the file. So the service's own role needs no right on the shop's
--   tables, and can do to them what stands here and nothing else.
-- * What is written to the shop's tables stands in functions whose body Postgres reads once, here (`begin atomic`). Like the
--   views, they go on when a column or a table gets another name, and Postgres refuses to drop a column that they write, or to
--   give it another type. In a trigger's own body, such a name would be found missing in the night.
-- * An index serves a view only where it repeats the view's expression word for word.
-- * Where a status is an enum of Prisma's: `status::text` in the view, but no index may have that, since a label can be renamed.
--   Compare with the labels in both instead, such as `case when status in ('ACTIVE', 'USED') then 'PAID' when status =
--   'PENDING' then 'PENDING' … end`; a word that is no label of the enum is left out. Mixed case is quoted: public."Order".

-- 1. Ids. Prisma's are texts (cuid), ours are uuids: the same text gives the same uuid, and an index finds it. --------------

create index jarvis_orders_id on public.orders ((md5(id)::uuid));
create index jarvis_payments_id on public.payments ((md5(id)::uuid));
create index jarvis_payments_order on public.payments ((md5(order_id)::uuid));
create index jarvis_stocks_id on public.stocks ((md5(id)::uuid));
create index jarvis_reservations_order on public.stock_reservations ((md5(order_id)::uuid));
create index jarvis_items_order on public.order_items ((md5(order_id)::uuid));

-- 2. Moments. The shop writes them down as text. One that is none must not fail the night of all others: it reads as null,
--    and `adopt check` counts such rows. Without a zone, it is UTC. ------------------------------------------------------

create function moment(word text)
returns timestamptz
language plpgsql immutable parallel safe
as $$
begin
    return case
        when word ~ '^[1-9]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.]\d+)?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?$'
            or word ~ '^([1-9]\d([02468][48]|[13579][26]|[2468]0)|(16|20|24|28)00)-02-29[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.]\d+)?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?$'
        then (case when right(word, 1) = 'Z' or word ~ '[+-]\d\d(:?\d\d)?$' then word else word || 'Z' end)::timestamptz
    end;
end $$;

-- And back, as JavaScript writes them.
create function as_text(moment timestamptz)
returns text
language sql stable parallel safe
as $$ select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- 3. Orders. The job sets those to EXPIRED that are unpaid and due; nothing else may be written, and not over a status that
--    the shop has set meanwhile. -----------------------------------------------------------------------------------------

create view orders as
select
    md5(id)::uuid as id,
    id as order_number,
    case
        when status in ('ACTIVE', 'USED') then 'PAID'
        when status in ('CANCELLED', 'DELETED', 'ARCHIVED') then 'CANCELED'
        else status
    end as status,
    moment(expires_at) as expires_at,
    null::timestamptz as expired_at,
    coalesce(moment(created_at), 'epoch') as created_at,
    'epoch'::timestamptz as updated_at -- the shop has none
from public.orders;

-- The pick of expire-stale-orders: due orders, by the moment they were due. The condition is the view's own expression.
create index jarvis_orders_due on public.orders (moment(expires_at), (md5(id)::uuid))
where case
    when status in ('ACTIVE', 'USED') then 'PAID'
    when status in ('CANCELLED', 'DELETED', 'ARCHIVED') then 'CANCELED'
    else status
end in ('PENDING', 'REQUIRES_PAYMENT');

-- How often each of these words is, which Postgres counts for no expression by itself: else it takes this index for small, and
-- reads all due orders to find a few by their ids.
create statistics jarvis_orders_words on (case
    when status in ('ACTIVE', 'USED') then 'PAID'
    when status in ('CANCELLED', 'DELETED', 'ARCHIVED') then 'CANCELED'
    else status
end) from public.orders;
analyze public.orders;

create function expire_order(its_id text)
returns boolean
language sql
begin atomic
    update public.orders
       set status = 'EXPIRED'
     where id = its_id
       and status in ('PENDING', 'REQUIRES_PAYMENT')
    returning true;
end;

-- Null tells Postgres that no row was written.
create function write_order()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if new.status <> 'EXPIRED' then
        raise exception 'an order of the shop may only become EXPIRED here, not %', new.status;
    end if;
    return case when expire_order(old.order_number) then new end;
end $$;

create trigger write_order
instead of update on orders
for each row execute function write_order();

-- 4. Payments. `failed` is no word of Stripe's, where such an intent waits for another card; `missing` (Stripe does not know the
--    intent) is no word of the shop's: the row keeps its status there, and `host_intents` says so. What our sync wrote counts
--    as long as the row names the same intent and has the same status. What ended before we came, with its order, is settled:
--    Stripe is not asked about it again. --------------------------------------------------------------------------------------

create table if not exists host_intents (
    payment_id text primary key,
    intent text, -- which the row named then
    host_status text not null, -- and what its status was made
    status text not null,
    synced_status text,
    cancellation_reason text,
    canceled_at timestamptz,
    cancel_attempts int not null,
    last_error text,
    last_synced_at timestamptz
);

create view payment_intents as
select
    md5(p.id)::uuid as id,
    md5(p.order_id)::uuid as order_id,
    p.stripe_payment_intent_id,
    null::text as checkout_session_id,
    coalesce((select h.status from host_intents h
        where h.payment_id = p.id and h.intent = p.stripe_payment_intent_id and h.host_status = p.status),
        case p.status when 'failed' then 'requires_payment_method' else p.status end) as status,
    (select h.cancellation_reason from host_intents h where h.payment_id = p.id) as cancellation_reason,
    (select h.canceled_at from host_intents h where h.payment_id = p.id) as canceled_at,
    coalesce((select h.cancel_attempts from host_intents h where h.payment_id = p.id), 0) as cancel_attempts,
    (select h.last_error from host_intents h where h.payment_id = p.id) as last_error,
    case
        when p.status in ('succeeded', 'canceled')
            and not exists (select from host_intents h where h.payment_id = p.id)
            and not exists (select from public.orders o where o.id = p.order_id and o.status in ('PENDING', 'REQUIRES_PAYMENT'))
        then coalesce(moment(p.updated_at), 'epoch')
        else (select h.last_synced_at from host_intents h where h.payment_id = p.id and h.intent = p.stripe_payment_intent_id)
    end as last_synced_at,
    coalesce(moment(p.created_at), 'epoch') as created_at,
    coalesce(moment(p.updated_at), 'epoch') as updated_at,
    case
        when p.status in ('succeeded', 'canceled')
            and not exists (select from host_intents h where h.payment_id = p.id)
            and not exists (select from public.orders o where o.id = p.order_id and o.status in ('PENDING', 'REQUIRES_PAYMENT'))
        then p.status
        else (select h.synced_status from host_intents h where h.payment_id = p.id and h.intent = p.stripe_payment_intent_id)
    end as synced_status,
    p.id as host_id
from public.payments p
where p.stripe_payment_intent_id is not null;

-- The pick of cleanup-stale-payment-intents: the longest untouched first.
create index jarvis_payments_turn on public.payments ((coalesce(moment(updated_at), 'epoch')), (md5(id)::uuid))
where stripe_payment_intent_id is not null;

create function sync_payment(its_id text, intent text, word text, error text, at timestamptz)
returns text
language sql
begin atomic
    update public.payments
       set status = case
               when word = 'missing' or word = 'requires_payment_method' and status = 'failed' then status
               else word
           end,
           last_error_message = case when word <> 'succeeded' then coalesce(error, last_error_message) end,
           updated_at = case when status = word or word = 'missing' then updated_at else as_text(at) end
     where id = its_id
       and stripe_payment_intent_id = intent
    returning status;
end;

create function write_intent()
returns trigger
language plpgsql security definer set search_path from current
as $$
declare
    made text := sync_payment(old.host_id, old.stripe_payment_intent_id, new.status, new.last_error, new.updated_at);
begin
    if made is null then
        return null;
    end if;
    insert into host_intents (
        payment_id, intent, host_status, status, synced_status, cancellation_reason, canceled_at, cancel_attempts, last_error,
        last_synced_at
    )
    values (
        old.host_id, old.stripe_payment_intent_id, made, new.status, new.synced_status, new.cancellation_reason,
        new.canceled_at, new.cancel_attempts, new.last_error, new.last_synced_at
    )
    on conflict (payment_id) do update
    set (
        intent, host_status, status, synced_status, cancellation_reason, canceled_at, cancel_attempts, last_error,
        last_synced_at
    ) = (
        excluded.intent, excluded.host_status, excluded.status, excluded.synced_status, excluded.cancellation_reason,
        excluded.canceled_at, excluded.cancel_attempts, excluded.last_error, excluded.last_synced_at
    );
    return new;
end $$;

create trigger write_intent
instead of update on payment_intents
for each row execute function write_intent();

-- 5. Stock. The shop counts what is left, and takes off it when an order is made; we count what is reserved, and write only
--    how much less that is: so much is given back. --------------------------------------------------------------------------

create view stock_levels as
select
    md5(id)::uuid as id,
    1000000 as reserved,
    id as host_id
from public.stocks;

create function give_back(its_id text, units int)
returns boolean
language sql
begin atomic
    update public.stocks
       set quantity = quantity + units,
           updated_at = as_text(now())
     where id = its_id
    returning true;
end;

create function write_stock()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    return case when give_back(old.host_id, old.reserved - new.reserved) then new end;
end $$;

create trigger write_stock
instead of update on stock_levels
for each row execute function write_stock();

-- 6. Reservations. An order has rows in stock_reservations, or, where it has none, its lines say what was taken: that is what
--    the shop's own release goes by. A slot that holds another product by now gets nothing back. A line that was given back is
--    written down, so that it is given back once. Nothing locks a reservation, so this view may have a `union all`; the locked
--    tables of the contract may not. ------------------------------------------------------------------------------------------

create table if not exists host_released (
    item_id text primary key,
    released_at timestamptz not null,
    release_reason text
);

create view stock_reservations as
select
    md5(r.order_id)::uuid as order_id,
    md5(r.stock_id)::uuid as stock_level_id,
    r.quantity::int as quantity,
    case r.status when 'EXPIRED' then 'RELEASED' when 'CANCELLED' then 'RELEASED' else r.status end as status,
    null::timestamptz as released_at,
    null::text as release_reason,
    r.id as host_id,
    null::text as item_id
from public.stock_reservations r
where r.order_id is not null
union all
select
    md5(i.order_id)::uuid,
    md5(s.id)::uuid,
    i.quantity::int,
    case when exists (select from host_released h where h.item_id = i.id) then 'RELEASED' else 'ACTIVE' end,
    null,
    null,
    null,
    i.id
from public.order_items i
join public.orders o on o.id = i.order_id
join public.stocks s on s.machine_id = o.machine_id and s.slot_number = i.slot_number and s.product_id = i.product_id
where not exists (select from public.stock_reservations r where r.order_id = i.order_id);

create function release(its_id text)
returns boolean
language sql
begin atomic
    update public.stock_reservations
       set status = 'RELEASED'
     where id = its_id
       and status = 'ACTIVE'
    returning true;
end;

create function write_reservation()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if old.host_id is not null then
        return case when release(old.host_id) then new end;
    end if;
    insert into host_released (item_id, released_at, release_reason)
    values (old.item_id, new.released_at, new.release_reason)
    on conflict do nothing;
    return case when found then new end;
end $$;

create trigger write_reservation
instead of update on stock_reservations
for each row execute function write_reservation();
