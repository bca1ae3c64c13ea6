//! Which orders are due, and which of their intents Stripe must be asked
//! about.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::verdict::DueOrder;
use crate::database::Unprepared;
use crate::engine::JobContext;
use crate::shop::payment_intents::LocalIntent;
use crate::shop::sweep::Key;

/// Orders with their intents, from one row per intent.
pub(super) fn by_order(rows: &[DueRow]) -> VecDeque<DueOrder> {
    let orders = rows.chunk_by(|row, next| row.id == next.id);
    let due = orders.map(|rows| DueOrder {
        id: rows[0].id,
        intents: rows.iter().filter_map(DueRow::intent).collect(),
    });
    due.collect()
}

/// A due order, once for each of its intents, or once without any.
#[derive(Debug)]
pub(super) struct DueRow {
    pub(super) id: Uuid,
    pub(super) expires_at: DateTime<Utc>,
    intent_id: Option<Uuid>,
    stripe_id: Option<String>,
    checkout_session_id: Option<String>,
    cancel_attempts: Option<i32>,
}

impl DueRow {
    fn intent(&self) -> Option<LocalIntent> {
        Some(LocalIntent {
            id: self.intent_id?,
            stripe_id: self.stripe_id.clone()?,
            checkout_session_id: self.checkout_session_id.clone(),
            cancel_attempts: self.cancel_attempts.unwrap_or_default(),
        })
    }
}

/// Due orders after `after`, oldest first, of this run's shard, with those of
/// their intents that are not known to be canceled.
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
