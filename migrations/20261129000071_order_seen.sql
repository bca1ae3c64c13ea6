-- Where the host's view stands for the orders, it has no key by which one column would say what the others are: they are all
-- named. What an order looks like stays the same.

create or replace function order_seen(of_order uuid)
returns text
language sql
stable
parallel safe
return (
    select hashtextextended(concat_ws(
        ' ', o.status, extract(epoch from o.expires_at), extract(epoch from o.updated_at),
        string_agg(
            concat_ws(' ', p.id, p.status, extract(epoch from p.updated_at), p.stripe_payment_intent_id,
                p.checkout_session_id),
            ',' order by p.id
        )
    ), 0)::text
    from orders as o
    left join payment_intents as p on p.order_id = o.id
    where o.id = of_order
    group by o.id, o.status, o.expires_at, o.updated_at
);
