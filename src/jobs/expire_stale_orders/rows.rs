//! The rows of the job: what a verdict changes.
//!
//! Every statement is guarded by the state it expects and bound to `ctx.now`.
//! Lock order: orders by id, intents by id, stock levels by id.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::verdict::Judged;
use super::{ACTOR, OrderError, Results, alerts};
use crate::alerts::Alert;
use crate::database::Unprepared;
use crate::engine::results;
use crate::engine::{Batch, JobContext, JobError, context};
use crate::shop::payment_intents::health::{self, Matter};
use crate::shop::payment_intents::verdict::Outcome;
use crate::shop::payment_intents::{self, IntentReport, Synced};
use crate::shop::stock::release_reserved_stock;

/// Applies the verdicts, all in the one transaction of `batch`, and adds what
/// changed to `sum`; answers what is told at the end of the run.
pub(super) async fn apply(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    judged: &[Judged],
    sum: &mut Results,
) -> Result<Vec<(Matter, Alert)>, JobError> {
    let ids: Vec<Uuid> = judged.iter().map(|order| order.order_id).collect();
    let unpaid = lock_unpaid(batch.db()?, &ids, ctx.now)
        .await
        .map_err(context("lock the orders"))?;
    let reports: Vec<&IntentReport> = judged.iter().flat_map(|order| &order.reports).collect();
    let synced = payment_intents::sync(batch.db()?, &reports, ctx, ACTOR)
        .await
        .map_err(context("write what Stripe said"))?;
    let paid: Vec<Uuid> = synced.iter().filter_map(Synced::paid_order).collect();
    sum.alerts_opened += health::tell_of(batch, synced.iter(), &paid, ctx.now).await?;
    let canceled = synced
        .into_iter()
        .filter(|row| row.has_turned && row.status == "canceled");
    let canceled: Vec<String> = canceled.map(|row| row.stripe_id).collect();
    sum.payment_intents_canceled += sum.samples.add(ctx, "payment_intents_canceled", &canceled);
    let expired = expire_judged(ctx, batch, judged, &unpaid, sum).await?;
    let keep = judged
        .iter()
        .filter(|order| unpaid.contains(&order.order_id) && !expired.contains(&order.order_id));
    let keep: Vec<Judged> = keep
        .map(|order| match order.outcome {
            Outcome::Expire => order.not_expired(),
            _ => order.clone(),
        })
        .collect();
    keep_orders(ctx, batch, &keep, sum).await?;
    let at_the_end = keep.iter().filter_map(alerts::at_the_end).collect();
    if unpaid.len() < ids.len() {
        let held = still_due(batch.db()?, &ids, &unpaid, ctx.now)
            .await
            .map_err(context("read orders that another transaction holds"))?;
        sum.orders_deferred += sum.samples.add(ctx, "orders_deferred", &held);
    }
    Ok(at_the_end)
}

/// Expires those of the unpaid orders that are judged so, and frees their stock;
/// answers which.
async fn expire_judged(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    judged: &[Judged],
    unpaid: &HashSet<Uuid>,
    sum: &mut Results,
) -> Result<HashSet<Uuid>, JobError> {
    let ending = judged
        .iter()
        .filter(|order| order.outcome == Outcome::Expire && unpaid.contains(&order.order_id));
    let ending: Vec<Uuid> = ending.map(|order| order.order_id).collect();
    let expired = expire(batch.db()?, &ending, ctx)
        .await
        .map_err(context("expire the orders"))?;
    sum.orders_expired += sum.samples.add(ctx, "orders_expired", &expired);
    sum.stock_released += release_reserved_stock(batch.db()?, &expired, "order_expired", ctx.now)
        .await
        .map_err(context("release reserved stock"))?;
    Ok(expired.into_iter().collect())
}

/// Orders that stay: when they come up again, and which are alerted about.
async fn keep_orders(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    keep: &[Judged],
    sum: &mut Results,
) -> Result<(), JobError> {
    if keep.is_empty() {
        return Ok(());
    }
    postpone(batch.db()?, keep, ctx)
        .await
        .map_err(context("postpone orders"))?;
    let (paid, deferred): (Vec<&Judged>, Vec<&Judged>) = keep
        .iter()
        .partition(|order| matches!(order.outcome, Outcome::Paid | Outcome::Authorized));
    let [paid, deferred] = [paid, deferred]
        .map(|orders| -> Vec<Uuid> { orders.iter().map(|order| order.order_id).collect() });
    sum.orders_paid += sum.samples.add(ctx, "orders_paid", &paid);
    sum.orders_deferred += sum.samples.add(ctx, "orders_deferred", &deferred);
    let failed = keep.iter().filter(|order| {
        use Outcome::{Denied, Error, Missing};
        order.is_stuck || matches!(order.outcome, Missing | Error | Denied)
    });
    let errors = failed.map(|order| OrderError {
        order_id: order.order_id,
        error: order.error.clone().unwrap_or_default(),
    });
    results::name(&mut sum.errors, errors);
    note_paid(batch.db()?, &paid, ctx)
        .await
        .map_err(context("write audit events of paid orders"))?;
    let raised: Vec<Alert> = keep.iter().filter_map(alerts::at_once).collect();
    let opened = crate::alerts::open(batch.db()?, &raised, ctx.now)
        .await
        .map_err(context("open alerts"))?;
    sum.alerts_opened += opened.len();
    Ok(())
}

/// Locks those of `orders` that are still unpaid and due. An order that
/// another transaction holds is left to the next run.
async fn lock_unpaid(
    db: Unprepared<'_>,
    orders: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<HashSet<Uuid>> {
    let unpaid = sqlx::query_scalar!(
        "select id
           from orders
          where id = any($1)
            and status in ('PENDING', 'REQUIRES_PAYMENT')
            and expires_at <= $2
          order by id
            for update skip locked",
        orders,
        now,
    );
    Ok(unpaid.fetch_all(db).await?.into_iter().collect())
}

/// Those of `orders` that could not be locked, and are due all the same.
async fn still_due(
    db: Unprepared<'_>,
    orders: &[Uuid],
    locked: &HashSet<Uuid>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    let left: Vec<Uuid> = orders
        .iter()
        .filter(|id| !locked.contains(id))
        .copied()
        .collect();
    sqlx::query_scalar!(
        "select id
           from orders
          where id = any($1)
            and status in ('PENDING', 'REQUIRES_PAYMENT')
            and expires_at <= $2",
        &left,
        now,
    )
    .fetch_all(db)
    .await
}

/// Expires locked orders whose every intent our own sync has found canceled, also
/// one that appeared while Stripe was asked; answers which.
async fn expire(db: Unprepared<'_>, orders: &[Uuid], ctx: &JobContext) -> sqlx::Result<Vec<Uuid>> {
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
                      and not (p.status = 'canceled'
                               and intent_is_settled(p.status, p.synced_status, p.last_synced_at))
               )
            returning o.id, o.order_number
        ), noted as (
            insert into audit_events (event_type, entity_type, entity_id, run_id, actor, payload,
                                      occurred_at)
            select 'local.order.expired', 'order', id::text, $3, $4,
                   jsonb_build_object('order_number', order_number), $2
              from expired
        ), dropped as (
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

/// Notes when orders that stay come up again, later at each attempt, and what
/// they look like now.
async fn postpone(db: Unprepared<'_>, orders: &[Judged], ctx: &JobContext) -> sqlx::Result<()> {
    let kept = orders.iter().map(|order| {
        let (first, longest) = order.outcome.pause(order.attempts);
        json!({
            "id": order.order_id,
            "outcome": order.outcome.name(),
            "error": order.error,
            "first": first,
            "longest": longest,
            "at_once": order.comes_up_at_once(),
        })
    });
    sqlx::query!(
        r#"
        insert into order_expirations as x (order_id, attempts, next_attempt_at, last_outcome,
                                            last_error, seen, updated_at)
        select kept.id, coalesce(old.attempts, 0) + 1,
               $2::timestamptz + make_interval(mins =>
                   least(longest, first * power(2, least(coalesce(old.attempts, 0), 12)))::int),
               outcome, error, case when not at_once then order_seen(kept.id) end, $2
          from jsonb_to_recordset($1)
               as kept (id uuid, outcome text, error text, first int, longest int, at_once bool)
          left join order_expirations old on old.order_id = kept.id
            on conflict (order_id) do update
           set attempts = excluded.attempts,
               next_attempt_at = excluded.next_attempt_at,
               last_outcome = excluded.last_outcome,
               last_error = excluded.last_error,
               seen = excluded.seen,
               updated_at = excluded.updated_at
        "#,
        Json(kept.collect::<Vec<_>>()) as _,
        ctx.now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes one audit event for each order that was paid when it should expire.
async fn note_paid(db: Unprepared<'_>, orders: &[Uuid], ctx: &JobContext) -> sqlx::Result<()> {
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

/// Deletes the attempts of orders that are no longer unpaid.
pub(super) async fn drop_settled(db: Unprepared<'_>) -> sqlx::Result<()> {
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
