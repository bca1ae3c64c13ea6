-- Open intents that nothing will settle any more, as of $1: of an order that has ended, or made before $2 ("a week ago")
-- and not of an order that can still be paid. The longest untouched come first, after ($4, $5), of the shard $6 of $7.
-- What Stripe answered about since $3 ("an hour ago") is not asked about again. With $8, only of these.
-- The statuses are spelled out because the index payment_intents_open_by_turn is found by them.
select p.id, p.stripe_payment_intent_id as stripe_id, p.checkout_session_id, p.cancel_attempts, p.updated_at,
       coalesce(o.status in ('EXPIRED', 'CANCELED', 'REFUNDED'), false) as "order_has_ended!"
  from payment_intents p
  left join orders o on o.id = p.order_id
 where p.status not in ('succeeded', 'canceled', 'missing')
   and p.updated_at < $1
   and p.created_at <= $1
   and (p.last_synced_at is null or p.last_synced_at < $3)
   and ($4::timestamptz is null or (p.updated_at, p.id) > ($4, $5::uuid))
   and ($7::int = 1 or abs(hashtext(p.id::text)::bigint) % $7::int = $6::int)
   and ($8::uuid[] is null or p.id = any($8))
   and (o.status in ('EXPIRED', 'CANCELED', 'REFUNDED')
        or p.created_at < $2 and (o.id is null or o.status = 'PAID' or o.expires_at <= $1))
 order by p.updated_at, p.id
 limit $9
