-- Intents that nothing will settle any more, as of $1, and that our own sync has not settled: of an order that has ended,
-- or made before $2 ("a week ago") and not of an order that can still be paid. The longest untouched come first, after
-- ($4, $5), of the shard $6 of $7. What Stripe answered about since $3 ("an hour ago") is not asked about again, and what
-- it did not know since $10 ("a week ago") neither. With $8, only of these.
-- The index payment_intents_unsettled_by_turn is found by the call of the function.
select p.id, p.stripe_payment_intent_id as stripe_id, p.checkout_session_id, p.cancel_attempts, p.status,
       within_calendar(p.updated_at) as "updated_at!",
       coalesce(o.status in ('EXPIRED', 'CANCELED', 'REFUNDED'), false) as "order_has_ended!"
  from payment_intents p
  left join orders o on o.id = p.order_id
 where not intent_is_settled(p.status, p.synced_status, p.last_synced_at)
   and p.updated_at < $1
   and p.created_at <= $1
   and (p.last_synced_at is null
        or p.last_synced_at < $3
           and (p.last_synced_at < $10 or p.status <> 'missing' and p.synced_status is distinct from 'missing'))
   and ($4::timestamptz is null or (p.updated_at, p.id) > ($4, $5::uuid))
   and ($7::int = 1 or abs(hashtext(p.id::text)::bigint) % $7::int = $6::int)
   and ($8::uuid[] is null or p.id = any($8))
   and (o.status in ('EXPIRED', 'CANCELED', 'REFUNDED')
        or p.created_at < $2 and (o.id is null or o.status = 'PAID' or o.expires_at <= $1))
 order by p.updated_at, p.id
 limit $9
