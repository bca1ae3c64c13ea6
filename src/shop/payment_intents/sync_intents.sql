-- What Stripe answered about each intent of $1 becomes our row, at $2; a cancellation is noted once, for the row that
-- really turned. A status that is final is never overwritten by an older answer.
with reported as (
    select *
      from jsonb_to_recordset($1)
           as reported (id uuid, status text, error text, definite bool, tried bool, reason text,
                        canceled_at timestamptz, by_us bool)
), before as materialized (
    select p.id, p.status as old_status
      from payment_intents p
      join reported using (id)
     where p.status not in ('succeeded', 'canceled')
     order by p.id
       for update of p
), synced as (
    update payment_intents p
       set status = coalesce(reported.status, p.status),
           cancellation_reason = coalesce(reported.reason, p.cancellation_reason),
           canceled_at = case
               when reported.status = 'canceled' then coalesce(reported.canceled_at, $2)
               else p.canceled_at
           end,
           cancel_attempts = p.cancel_attempts + reported.tried::int,
           last_error = reported.error,
           last_synced_at = case when reported.definite then $2 else p.last_synced_at end,
           updated_at = $2
      from reported
      join before using (id)
     where p.id = reported.id
    returning p.id, p.stripe_payment_intent_id, p.order_id, p.status, before.old_status,
              reported.reason, reported.by_us
), noted as (
    insert into audit_events (event_type, entity_type, entity_id, run_id, actor, payload,
                              occurred_at)
    select 'local.payment.canceled', 'payment_intent', id::text, $3, $4,
           jsonb_build_object(
               'stripe_payment_intent_id', stripe_payment_intent_id,
               'order_id', order_id,
               'previous_status', old_status,
               'cancellation_reason', reason,
               'canceled_by', case when by_us then 'us' else 'found canceled' end),
           $2
      from synced
     where status = 'canceled'
)
select id as "id!", stripe_payment_intent_id as "stripe_id!", order_id as "order_id?",
       old_status as "old_status!", status as "status!"
  from synced
