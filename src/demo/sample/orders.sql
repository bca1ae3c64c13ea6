-- Sample data: the shop's orders.
-- 320 orders for each unit of scale. The place in those 320 says what becomes of an order:
--     1 -  90  stale, without an intent          241 - 280  paid
--    91 - 180  stale, with an intent             281 - 300  expired
--   181 - 240  still in time                     301 - 312  canceled
--                                                313 - 320  refunded

create table demo.baskets as
select
    n,
    demo.id('order ' || n) as order_id,
    'JRV-' || lpad(n::text, 6, '0') as order_number,
    (n - 1) % 320 + 1 as place,
    (n - 1) / 320 + 1 as depot
from generate_series(1, 320 * current_setting('demo.scale')::int) as n;

create table demo.lines as
select
    basket.n,
    basket.order_id,
    basket.depot,
    line,
    (floor(demo.chance('item ' || basket.n) * 40)::int + line * 13) % 40 as item,
    1 + floor(demo.chance('quantity ' || basket.n || ' ' || line) * 3)::int as quantity
from demo.baskets as basket
cross join lateral generate_series(1, 1 + floor(demo.chance('lines ' || basket.n) * 3)::int) as line;

insert into orders
    (id, order_number, status, currency, total_amount, expires_at, expired_at, paid_at, created_at, updated_at)
select
    order_id,
    order_number,
    status,
    'eur',
    total,
    expires_at,
    case when status = 'EXPIRED' then expires_at + interval '3 minutes' end,
    case when status in ('PAID', 'REFUNDED') then expires_at - interval '20 minutes' end,
    expires_at - interval '30 minutes',
    expires_at - interval '20 minutes'
from demo.baskets
join (
    select
        n,
        sum(quantity * (490 + item * 110))::bigint as total
    from demo.lines
    group by n
) as totals using (n)
cross join lateral (
    select
        case
            when place <= 240 and (place % 3 = 0 or place > 90) then 'REQUIRES_PAYMENT'
            when place <= 240 then 'PENDING'
            when place <= 280 then 'PAID'
            when place <= 300 then 'EXPIRED'
            when place <= 312 then 'CANCELED'
            else 'REFUNDED'
        end as status,
        case
            when place <= 180 then now() - interval '1 minute' - interval '58 minutes' * demo.chance('due ' || n)
            when place <= 182 then now() + interval '2 days' -- payment by bank transfer
            when place <= 240 then now() + interval '20 minutes' + interval '70 minutes' * demo.chance('due ' || n)
            else now() - interval '2 days' - interval '40 days' * demo.chance('due ' || n)
        end as expires_at
) as fate;

insert into order_items (id, order_id, sku, quantity, unit_price_amount)
select
    demo.id('line ' || n || ' ' || line),
    order_id,
    'SKU-' || lpad((item + 1)::text, 3, '0'),
    quantity,
    490 + item * 110
from demo.lines;

insert into stock_reservations
    (id, order_id, stock_level_id, quantity, status, created_at, released_at, release_reason)
select
    demo.id('reservation ' || line.n || ' ' || line.line),
    line.order_id,
    demo.id('stock ' || line.depot || ' ' || line.item),
    line.quantity,
    case
        when orders.status in ('PENDING', 'REQUIRES_PAYMENT') then 'ACTIVE'
        when orders.status in ('PAID', 'REFUNDED') then 'CONSUMED'
        else 'RELEASED'
    end,
    orders.created_at,
    case when orders.status in ('EXPIRED', 'CANCELED') then orders.expires_at + interval '3 minutes' end,
    case orders.status when 'EXPIRED' then 'order_expired' when 'CANCELED' then 'order_canceled' end
from demo.lines as line
join orders on orders.id = line.order_id;

update stock_levels
set reserved = active.quantity
from (
    select stock_level_id, sum(quantity) as quantity
    from stock_reservations
    where status = 'ACTIVE'
    group by stock_level_id
) as active
where active.stock_level_id = stock_levels.id;

insert into audit_events (id, event_type, entity_type, entity_id, actor, payload, occurred_at)
select
    demo.id('audit expired ' || order_number),
    'local.order.expired',
    'order',
    id::text,
    'system',
    jsonb_build_object('order_number', order_number),
    expired_at
from orders
where status = 'EXPIRED';
