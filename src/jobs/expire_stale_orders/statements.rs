//! The statements of the job, one function each.

use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::verdict::Judged;
use crate::database::Unprepared;
use crate::engine::JobContext;

/// Who the audit trail says did it.
pub(super) const ACTOR: &str = "system:expire-stale-orders";

/// A due order, once for each of its intents, or once without any.
#[derive(Debug)]
pub(super) struct DueRow {
    pub(super) id: Uuid,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) intent_id: Option<Uuid>,
    pub(super) stripe_id: Option<String>,
    pub(super) checkout_session_id: Option<String>,
    pub(super) cancel_attempts: Option<i32>,
}

/// Due orders after `after`, oldest first, of this run's shard, with their
/// intents that are not known to be canceled.
pub(super) async fn pick(
    db: Unprepared<'_>,
    ctx: &JobContext,
    after: Option<(DateTime<Utc>, Uuid)>,
    size: i64,
) -> Result<Vec<DueRow>> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query_as!(
        DueRow,
        r#"
        select due.id, due.expires_at as "expires_at!", p.id as "intent_id?",
               p.stripe_payment_intent_id as "stripe_id?", p.checkout_session_id,
               p.cancel_attempts as "cancel_attempts?"
          from (
              select o.id, o.expires_at
                from orders o
               where o.status in ('PENDING', 'REQUIRES_PAYMENT')
                 and o.expires_at <= $1
                 and o.created_at <= $1
                 and ($2::timestamptz is null or (o.expires_at, o.id) > ($2, $3))
                 and ($6::int = 1 or abs(hashtext(o.id::text)::bigint) % $6::int = $5::int)
                 and not exists (
                     select from order_expirations x
                      where x.order_id = o.id
                        and x.next_attempt_at > $1
                 )
               order by o.expires_at, o.id
               limit $4
          ) due
          left join payment_intents p
            on p.order_id = due.id
           and p.status <> 'canceled'
         order by due.expires_at, due.id, p.id
        "#,
        ctx.now,
        after.map(|(expires_at, _)| expires_at),
        after.map(|(_, id)| id),
        size,
        shard,
        shards,
    )
    .fetch_all(db)
    .await
}

/// Locks those of `orders` that are still unpaid and due. An order that
/// somebody else holds is left to the next run.
pub(super) async fn lock_unpaid(
    db: Unprepared<'_>,
    orders: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id
           from orders
          where id = any($1)
            and status in ('PENDING', 'REQUIRES_PAYMENT')
            and expires_at <= $2
          order by id
            for update skip locked",
        orders,
        now,
    )
    .fetch_all(db)
    .await
}

/// Expires locked orders whose every intent is canceled now, also one that
/// appeared while Stripe was asked; answers which.
pub(super) async fn expire(
    db: Unprepared<'_>,
    orders: &[Uuid],
    ctx: &JobContext,
) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        with expired as (
            update orders o
               set status = 'EXPIRED',
                   expired_at = $2,
                   updated_at = $2
             where o.id = any($1)
               and o.status in ('PENDING', 'REQUIRES_PAYMENT')
               and not exists (
                   select from payment_intents p
                    where p.order_id = o.id
                      and p.status <> 'canceled'
               )
            returning o.id, o.order_number
        ), noted as (
            insert into audit_events (event_type, entity_type, entity_id, run_id, actor, payload,
                                      occurred_at)
            select 'local.order.expired', 'order', id::text, $3, $4,
                   jsonb_build_object('order_number', order_number), $2
              from expired
        ), forgotten as (
            delete from order_expirations x
             using expired
             where x.order_id = expired.id
        )
        select id as "id!"
          from expired
        "#,
        orders,
        ctx.now,
        ctx.fence.run_id(),
        ACTOR,
    )
    .fetch_all(db)
    .await
}

/// Notes when orders that stay come up again, later at each attempt.
pub(super) async fn postpone(
    db: Unprepared<'_>,
    orders: &[&Judged],
    ctx: &JobContext,
) -> Result<()> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.order_id).collect();
    let outcomes: Vec<String> = orders.iter().map(|o| o.outcome.name().to_owned()).collect();
    let errors: Vec<Option<String>> = orders.iter().map(|order| order.error.clone()).collect();
    let (first, longest): (Vec<i32>, Vec<i32>) = orders.iter().map(|o| o.outcome.pause()).unzip();
    sqlx::query!(
        r#"
        insert into order_expirations as x (order_id, attempts, next_attempt_at, last_outcome,
                                            last_error, updated_at)
        select kept.id, coalesce(old.attempts, 0) + 1,
               $6::timestamptz + make_interval(mins =>
                   least(longest, first * power(2, least(coalesce(old.attempts, 0), 12)))::int),
               outcome, error, $6
          from unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::int[])
               as kept (id, outcome, error, first, longest)
          left join order_expirations old on old.order_id = kept.id
            on conflict (order_id) do update
           set attempts = excluded.attempts,
               next_attempt_at = excluded.next_attempt_at,
               last_outcome = excluded.last_outcome,
               last_error = excluded.last_error,
               updated_at = excluded.updated_at
        "#,
        &ids,
        &outcomes,
        &errors as &[Option<String>],
        &first,
        &longest,
        ctx.now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Says once of each order that it was paid when it should have expired.
pub(super) async fn note_paid(db: Unprepared<'_>, orders: &[Uuid], ctx: &JobContext) -> Result<()> {
    sqlx::query!(
        "insert into audit_events (event_type, entity_type, entity_id, run_id, actor, payload,
                                   occurred_at)
         select 'local.order.paid_at_expiry', 'order', o.id::text, $2, $3,
                jsonb_build_object('order_number', o.order_number), $4
           from orders o
          where o.id = any($1)
         on conflict do nothing",
        orders,
        ctx.fence.run_id(),
        ACTOR,
        ctx.now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Drops the notes on orders that are no longer unpaid.
pub(super) async fn forget_settled(db: Unprepared<'_>) -> Result<()> {
    sqlx::query!(
        "delete from order_expirations x
          using orders o
          where o.id = x.order_id
            and o.status not in ('PENDING', 'REQUIRES_PAYMENT')"
    )
    .execute(db)
    .await?;
    Ok(())
}
