-- Only Stripe's word may end an order. A final status in our table may have been written by the shop, by an older system or
-- by hand; it counts where our own sync wrote exactly this status. So each row keeps what that sync wrote last. Rows from
-- before have nothing there, and are asked about once more. A Checkout session has no intent until its customer pays, and
-- is payable all the same, so a row may name a session alone. And an order that waits for its next attempt comes up sooner
-- when its row or one of its intents has changed: `seen` is what they looked like.
-- The checks are validated in a migration of their own, which blocks no writer.

alter table payment_intents
    add column synced_status text, -- what our sync last wrote from Stripe's word; null before the first
    alter column stripe_payment_intent_id drop not null,
    add constraint payment_intents_has_an_id
        check (num_nonnulls(stripe_payment_intent_id, checkout_session_id) > 0) not valid;

-- Whether a local status is final, and our own sync wrote it. Indexes are found by this function: it is never changed.
create function intent_is_settled(status text, synced_status text, last_synced_at timestamptz)
returns boolean
language sql
immutable
parallel safe
return status in ('succeeded', 'canceled') and synced_status is not distinct from status and last_synced_at is not null;

alter table order_expirations
    add column seen text, -- null: it comes up at the next tick whatever next_attempt_at says
    drop constraint order_expirations_outcome_known,
    add constraint order_expirations_outcome_known
        check (
            last_outcome in ('paid', 'authorized', 'partly_paid', 'processing', 'deferred', 'missing', 'error')
        ) not valid;

-- What an order and its intents look like, also when it has none.
create function order_seen(of_order uuid)
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
    group by o.id
);
