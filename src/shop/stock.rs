//! Stock that was reserved for an order and is free again.
//!
//! Owns the release: it looks at the reservations themselves, never at the
//! order's lines, so that a second release finds nothing to give back and a
//! partly reserved order gives back only what it held.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::database::Unprepared;

/// Releases what is still reserved for `orders`; answers the units released.
///
/// Run twice, or by two callers at once, it releases once: only a
/// reservation that this statement turns from ACTIVE to RELEASED is
/// subtracted. Stock levels are locked in id order, so that two releases
/// cannot deadlock. Call it in the transaction that ends the orders.
///
/// # Errors
/// When a level holds less than was reserved on it (the check
/// `stock_levels_reserved_not_negative`), nothing is released.
pub async fn release_reserved_stock(
    db: Unprepared<'_>,
    orders: &[Uuid],
    reason: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        with released as (
            update stock_reservations
               set status = 'RELEASED',
                   released_at = $3,
                   release_reason = $2
             where order_id = any($1)
               and status = 'ACTIVE'
            returning stock_level_id, quantity
        ), totals as (
            select stock_level_id as id, sum(quantity)::int as quantity
              from released
             group by stock_level_id
        ), locked as materialized (
            select s.id, t.quantity
              from stock_levels s
              join totals t using (id)
             order by s.id
               for update of s
        ), freed as (
            update stock_levels s
               set reserved = s.reserved - locked.quantity
              from locked
             where s.id = locked.id
        )
        select coalesce(sum(quantity), 0)::bigint as "units!"
          from released
        "#,
        orders,
        reason,
        now,
    )
    .fetch_one(db)
    .await
}
