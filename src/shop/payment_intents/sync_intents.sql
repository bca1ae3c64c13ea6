-- What Stripe answered about each intent of $1 becomes our row, at $2; a cancellation is noted once, for the row that
-- really turned, and so is a final status that Stripe contradicts. A row that was changed since it was read knows better
-- than an answer that is not final: then only what is final at Stripe is written, and never over another final status.
-- A row that names another intent or session by now gets nothing: the answer is not about that.
with reported as (
    select *
      from jsonb_to_recordset($1)
           as reported (id uuid, intent text, session text, read_status text, read_at timestamptz, attempts int,
                        status text, synced text, error text, definite bool, tried bool, reason text,
                        canceled_at timestamptz, by_us bool)
), before as materialized (
    select p.id, p.status as old_status,
           p.status in ('succeeded', 'canceled')
               and not intent_is_settled(p.status, p.synced_status, p.last_synced_at) as is_claim,
           -- By this run, and not written yet; the row may say so already, by the webhook of our cancel.
           reported.by_us and p.cancel_attempts = reported.attempts
               and not intent_is_settled(p.status, p.synced_status, p.last_synced_at) as was_ended,
           p.status = reported.read_status and within_calendar(p.updated_at) = reported.read_at as is_as_read
      from payment_intents p
      join reported using (id)
     where (p.stripe_payment_intent_id = reported.intent) is not false
       and p.checkout_session_id is not distinct from reported.session
       and (p.status = reported.read_status and within_calendar(p.updated_at) = reported.read_at
            or reported.status in ('succeeded', 'canceled')
               and (p.status not in ('succeeded', 'canceled') or p.status = reported.status))
     order by p.id
       for update of p
), synced as (
    update payment_intents p
       set status = case
               -- That Stripe does not know it says nothing against what has ended here.
               when reported.status = 'missing' and p.status in ('succeeded', 'canceled') then p.status
               else coalesce(reported.status, p.status)
           end,
           synced_status = coalesce(reported.synced, p.synced_status),
           cancellation_reason = coalesce(reported.reason, p.cancellation_reason),
           canceled_at = case
               when reported.status = 'canceled' then coalesce(reported.canceled_at, p.canceled_at, $2)
               else p.canceled_at
           end,
           cancel_attempts = p.cancel_attempts + reported.tried::int,
           last_error = case when before.is_as_read then reported.error else p.last_error end,
           last_synced_at = case when reported.definite then $2 else p.last_synced_at end,
           updated_at = $2
      from reported
      join before using (id)
     where p.id = reported.id
    returning p.id, p.stripe_payment_intent_id, p.checkout_session_id, p.order_id, p.status,
              before.old_status, reported.reason, reported.by_us,
              before.old_status <> p.status or before.was_ended as has_turned,
              before.is_claim and (before.old_status <> p.status
                                   or before.was_ended and reported.read_status = p.status) as was_corrected
), noted as (
    insert into audit_events (event_type, entity_type, entity_id, run_id, actor, payload,
                              occurred_at)
    select event_type, 'payment_intent', id::text, $3, $4,
           jsonb_build_object(
               'stripe_payment_intent_id', stripe_payment_intent_id,
               'order_id', order_id,
               'previous_status', old_status)
               || case
                   when stripe_payment_intent_id is null
                   then jsonb_build_object('checkout_session_id', checkout_session_id)
                   else '{}'
               end
               || details,
           $2
      from synced
     cross join lateral (
         select 'local.payment.canceled' as event_type,
                jsonb_build_object(
                    'cancellation_reason', reason,
                    'canceled_by', case when by_us then 'us' else 'found canceled' end) as details
          where status = 'canceled'
         union all
         select 'local.payment.status_corrected',
                jsonb_build_object('status', case when by_us then 'open' else status end)
          where was_corrected
     ) event
     where has_turned
)
select id as "id!", coalesce(stripe_payment_intent_id, checkout_session_id) as "stripe_id!",
       order_id as "order_id?", old_status as "old_status!", status as "status!",
       has_turned as "has_turned!", was_corrected as "was_corrected!",
       case when by_us then 'open' else status end as "found!"
  from synced
