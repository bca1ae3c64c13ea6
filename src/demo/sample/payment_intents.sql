-- Sample data: the shop's payment intents.
-- `ours` is what our database believes, `truth` what Stripe will say; without a truth, Stripe does not know the intent.

create table demo.intents as
select
    basket.n as serial,
    basket.order_id,
    orders.total_amount as amount,
    null::text as checkout_session_id,
    ours,
    case
        when place between 91 and 94 then 'succeeded' -- the webhook was lost
        when place between 95 and 96 then 'requires_capture'
        when place between 97 and 99 then 'processing'
        when place = 100 then null
        when place = 301 then 'requires_capture' -- money still held for a canceled order
        else ours
    end as truth,
    case
        when place between 181 and 182 then now() - interval '8 days' -- old, but of an order that is still in time
        else orders.created_at + interval '2 minutes'
    end as created_at
from demo.baskets as basket
join orders on orders.id = basket.order_id
cross join lateral (
    select
        case
            when place <= 180 then
                (array['requires_payment_method', 'requires_action', 'requires_confirmation'])[1 + place % 3]
            when place <= 210 then 'requires_payment_method'
            when place between 241 and 280 then 'succeeded'
            when place between 281 and 288 then 'canceled'
            when place between 289 and 291 then 'requires_payment_method' -- left open when its order expired
            when place = 301 then 'requires_capture'
            when place between 302 and 306 then 'canceled'
            when place > 312 then 'succeeded'
        end as ours
) as belief
where place > 90
    and ours is not null;

-- Thirty more that the shop has left open for over a week: two of a checkout session, two of an order that ended long ago.
insert into demo.intents (serial, order_id, amount, checkout_session_id, ours, truth, created_at)
select
    500000 + (unit - 1) * 30 + i,
    case i
        when 21 then demo.id('order ' || (unit - 1) * 320 + 310)
        when 22 then demo.id('order ' || (unit - 1) * 320 + 299)
    end,
    1000 + i * 90,
    case when i in (8, 9) then 'cs_demo_' || lpad(((unit - 1) * 30 + i)::text, 6, '0') end,
    ours,
    case
        when i <= 23 then ours
        when i <= 26 then 'succeeded'
        when i <= 28 then 'canceled'
        when i = 30 then 'succeeded'
    end,
    now() - interval '8 days' - interval '30 days' * demo.chance('stale intent ' || unit || ' ' || i)
from generate_series(1, current_setting('demo.scale')::int) as unit
cross join generate_series(1, 30) as i
cross join lateral (
    select
        case
            when i <= 9 then 'requires_payment_method'
            when i <= 13 then 'requires_confirmation'
            when i <= 17 then 'requires_action'
            when i <= 20 then 'processing'
            when i <= 23 then 'requires_capture'
            when i <= 29 then 'requires_payment_method'
            else 'processing'
        end as ours
) as belief;

insert into payment_intents
    (id, order_id, stripe_payment_intent_id, checkout_session_id, status, amount, currency,
     cancellation_reason, canceled_at, last_synced_at, synced_status, created_at, updated_at)
select
    demo.id('intent ' || serial),
    order_id,
    'pi_demo_' || lpad(serial::text, 6, '0'),
    checkout_session_id,
    ours,
    amount,
    'eur',
    case when ours = 'canceled' then 'abandoned' end,
    case when ours = 'canceled' then created_at + interval '40 minutes' end,
    created_at,
    ours, -- as our own sync would have written it
    created_at,
    created_at
from demo.intents;

-- What is true at Stripe, one row for each intent that exists there. The Stripe double starts from it.
create table demo.demo_stripe_intents as
select
    'pi_demo_' || lpad(serial::text, 6, '0') as stripe_payment_intent_id,
    truth as status,
    amount,
    checkout_session_id
from demo.intents
where truth is not null;
