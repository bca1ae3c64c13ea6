//! Which orders are due, which of their intents Stripe must be asked about,
//! and the last look before one of them is ended.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::verdict::DueOrder;
use crate::database::Unprepared;
use crate::engine::{JobContext, JobError, context};
use crate::shop::payment_intents::LocalIntent;
use crate::shop::sweep::Key;

/// How long Stripe's answer is good for an order with more intents than a run
/// may ask about.
const KNOWN: TimeDelta = TimeDelta::hours(1);

/// Orders with their intents, from one row per intent.
pub(super) fn by_order(rows: &[DueRow]) -> VecDeque<DueOrder> {
    let orders = rows.chunk_by(|row, next| row.id == next.id);
    let due = orders.map(|rows| DueOrder {
        id: rows[0].id,
        attempts: rows[0].attempts,
        intents: rows.iter().filter_map(DueRow::intent).collect(),
    });
    due.collect()
}

/// A due order, once for each of its intents, or once without any.
#[derive(Debug)]
pub(super) struct DueRow {
    pub(super) id: Uuid,
    pub(super) expires_at: DateTime<Utc>,
    attempts: i32,
    intent_id: Option<Uuid>,
    stripe_id: Option<String>,
    checkout_session_id: Option<String>,
    cancel_attempts: Option<i32>,
    status: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    is_known_open: bool,
}

impl DueRow {
    fn intent(&self) -> Option<LocalIntent> {
        Some(LocalIntent {
            id: self.intent_id?,
            stripe_id: self.stripe_id.clone(),
            checkout_session_id: self.checkout_session_id.clone(),
            cancel_attempts: self.cancel_attempts.unwrap_or_default(),
            status: self.status.clone()?,
            updated_at: self.updated_at?,
            is_known_open: self.is_known_open,
        })
    }
}

/// The last look before an intent is ended: whether its order is still unpaid
/// and due, and the intent still this order's and as it was read.
pub(super) async fn may_still_end(
    ctx: &JobContext,
    order: Uuid,
    intent: &LocalIntent,
) -> Result<bool, JobError> {
    let mut tx = ctx.reading().await?;
    is_as_read(Unprepared(&mut tx), ctx, order, intent)
        .await
        .map_err(context("look at an intent again"))
}

async fn is_as_read(
    db: Unprepared<'_>,
    ctx: &JobContext,
    order: Uuid,
    intent: &LocalIntent,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
                   select
                     from orders o
                     join payment_intents p on p.order_id = o.id
                    where o.id = $1
                      and o.status in ('PENDING', 'REQUIRES_PAYMENT')
                      and o.expires_at <= $2
                      and p.id = $3
                      and p.status = $4
                      and within_calendar(p.updated_at) = $5
                      and (p.stripe_payment_intent_id = $6) is not false
                      and p.checkout_session_id is not distinct from $7
               ) as "is_as_read!"
        "#,
        order,
        ctx.now,
        intent.id,
        intent.status,
        intent.updated_at,
        intent.stripe_id,
        intent.checkout_session_id,
    )
    .fetch_one(db)
    .await
}

/// Due orders after `after`, oldest first, of this run's shard, with those of
/// their intents that our own sync has not found canceled. An order that has
/// changed, or whose intents have, does not wait for its next attempt; nor does one
/// that was postponed by a clock that has been set back since.
pub(super) async fn read(
    db: Unprepared<'_>,
    ctx: &JobContext,
    after: Option<Key>,
    size: i64,
) -> sqlx::Result<Vec<DueRow>> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query_as!(
        DueRow,
        r#"
        select due.id, within_calendar(due.expires_at) as "expires_at!", p.id as "intent_id?",
               p.stripe_payment_intent_id as stripe_id, p.checkout_session_id,
               p.cancel_attempts as "cancel_attempts?", p.status as "status?",
               within_calendar(p.updated_at) as "updated_at?", due.attempts as "attempts!",
               coalesce(p.status like 'requires\_%'
                        and p.status <> 'requires_capture'
                        and p.synced_status = p.status
                        and p.last_synced_at between $7 and $1, false) as "is_known_open!"
          from (
              select o.id, o.expires_at, coalesce(past.attempts, 0) as attempts
                from orders o
                left join order_expirations past on past.order_id = o.id
               where o.status in ('PENDING', 'REQUIRES_PAYMENT')
                 and o.expires_at <= $1
                 and o.created_at <= $1
                 and ($2::timestamptz is null or (o.expires_at, o.id) > ($2, $3))
                 and ($6::int = 1 or abs(hashtext(o.id::text)::bigint) % $6::int = $5::int)
                 and not exists (
                     select from order_expirations x
                      where x.order_id = o.id
                        and x.next_attempt_at > $1
                        and x.updated_at <= $1
                        -- No key of a hash: else it is computed for every order that is due.
                        and coalesce(x.seen = order_seen(o.id), false)
                 )
               order by o.expires_at, o.id
               limit $4
          ) due
          left join payment_intents p
            on p.order_id = due.id
           and not (p.status = 'canceled'
                    and intent_is_settled(p.status, p.synced_status, p.last_synced_at))
         order by due.expires_at, due.id, p.last_synced_at nulls first, p.id
        "#,
        ctx.now,
        after.map(|(expires_at, _)| expires_at),
        after.map(|(_, id)| id),
        size,
        shard,
        shards,
        ctx.now - KNOWN,
    )
    .fetch_all(db)
    .await
}
