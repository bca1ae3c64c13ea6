//! The rows of the job: what a verdict changes.
//!
//! Every statement is guarded by the state it expects and bound to `ctx.now`.
//! Lock order: orders by id, intents by id, stock levels by id.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::verdict::{Judged, Outcome};
use super::{ACTOR, OrderError, Results, SAMPLES, alerts};
use crate::alerts::Alert;
use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};
use crate::shop::payment_intents::{self, IntentReport};
use crate::shop::stock::release_reserved_stock;

/// What one batch changed.
#[derive(Debug, Default)]
pub(super) struct Applied {
    expired: Vec<Uuid>,
    paid: Vec<Uuid>,
    deferred: Vec<Uuid>,
    canceled: Vec<String>,
    stock_released: i64,
    alerts_opened: u64,
    errors: Vec<OrderError>,
}

impl Applied {
    /// Adds this batch to the run's results, with sample ids in a dry run.
    pub(super) fn add_to(self, sum: &mut Results, dry_run: bool) {
        sum.orders_expired += self.expired.len() as u64;
        sum.orders_paid += self.paid.len() as u64;
        sum.orders_deferred += self.deferred.len() as u64;
        sum.payment_intents_canceled += self.canceled.len() as u64;
        sum.stock_released += self.stock_released;
        sum.alerts_opened += self.alerts_opened;
        let room = SAMPLES.saturating_sub(sum.errors.len());
        sum.errors.extend(self.errors.into_iter().take(room));
        if dry_run {
            let text = |ids: Vec<Uuid>| ids.iter().map(Uuid::to_string).collect();
            sample(sum, "orders_expired", text(self.expired));
            sample(sum, "orders_paid", text(self.paid));
            sample(sum, "orders_deferred", text(self.deferred));
            sample(sum, "payment_intents_canceled", self.canceled);
        }
    }
}

fn sample(sum: &mut Results, action: &'static str, ids: Vec<String>) {
    if ids.is_empty() {
        return;
    }
    let samples = sum.samples.entry(action).or_default();
    let room = SAMPLES.saturating_sub(samples.len());
    samples.extend(ids.into_iter().take(room));
}

/// Applies the verdicts, all in the one transaction of `batch`.
pub(super) async fn apply(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    judged: &[Judged],
) -> Result<Applied, JobError> {
    let mut applied = Applied::default();
    let ids: Vec<Uuid> = judged.iter().map(|order| order.order_id).collect();
    let unpaid = lock_unpaid(batch.db()?, &ids, ctx.now)
        .await
        .map_err(context("lock the orders"))?;
    let reports: Vec<&IntentReport> = judged.iter().flat_map(|order| &order.reports).collect();
    if !reports.is_empty() {
        let synced = payment_intents::sync(batch.db()?, &reports, ctx, ACTOR)
            .await
            .map_err(context("write what Stripe said"))?;
        let canceled = synced.into_iter().filter(|row| row.status == "canceled");
        applied.canceled = canceled.map(|row| row.stripe_id).collect();
    }
    let (ending, keep): (Vec<&Judged>, Vec<&Judged>) = judged
        .iter()
        .filter(|order| unpaid.contains(&order.order_id))
        .partition(|order| order.outcome == Outcome::Expire);
    let ending: Vec<Uuid> = ending.iter().map(|order| order.order_id).collect();
    applied.expired = expire(batch.db()?, &ending, ctx)
        .await
        .map_err(context("expire the orders"))?;
    applied.stock_released =
        release_reserved_stock(batch.db()?, &applied.expired, "order_expired", ctx.now)
            .await
            .map_err(context("release reserved stock"))?;
    keep_orders(ctx, batch, &keep, &mut applied).await?;
    Ok(applied)
}

/// Orders that stay: when they come up again, and which are alerted about.
async fn keep_orders(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    keep: &[&Judged],
    applied: &mut Applied,
) -> Result<(), JobError> {
    if keep.is_empty() {
        return Ok(());
    }
    postpone(batch.db()?, keep, ctx)
        .await
        .map_err(context("postpone orders"))?;
    for order in keep {
        let id = order.order_id;
        match order.outcome {
            Outcome::Paid | Outcome::Authorized => applied.paid.push(id),
            _ => applied.deferred.push(id),
        }
        if matches!(
            order.outcome,
            Outcome::Missing | Outcome::Error | Outcome::Denied
        ) || order.is_stuck
        {
            let error = order.error.clone().unwrap_or_default();
            applied.errors.push(OrderError {
                order_id: id,
                error,
            });
        }
    }
    note_paid(batch.db()?, &applied.paid, ctx)
        .await
        .map_err(context("write audit events of paid orders"))?;
    let raised: Vec<Alert> = keep
        .iter()
        .filter_map(|order| alerts::about(order))
        .collect();
    let opened = crate::alerts::open(batch.db()?, &raised, ctx.now)
        .await
        .map_err(context("open alerts"))?;
    applied.alerts_opened = opened.len() as u64;
    Ok(())
}

/// Locks those of `orders` that are still unpaid and due. An order that
/// another transaction holds is left to the next run.
async fn lock_unpaid(
    db: Unprepared<'_>,
    orders: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
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
                      and p.status <> 'canceled'
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

/// Notes when orders that stay come up again, later at each attempt.
async fn postpone(db: Unprepared<'_>, orders: &[&Judged], ctx: &JobContext) -> sqlx::Result<()> {
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
