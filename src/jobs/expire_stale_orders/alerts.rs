//! The alerts about orders that stay: which are raised, and when they end.

use serde_json::json;
use uuid::Uuid;

use super::verdict::Judged;
use crate::alerts::Alert;
use crate::alerts::kinds::{
    Kind, ORDER_CANCEL_REFUSED, ORDER_INTENT_MISSING, ORDER_PAID_UNSETTLED, ORDER_PARTLY_PAID,
    ORDER_ROWS_REFUSED, ORDER_STAYS_OPEN,
};
use crate::database::Unprepared;
use crate::shop::payment_intents::health::Matter;
use crate::shop::payment_intents::verdict::{MANY_ATTEMPTS, Outcome};

/// The alert about an order that concerns this order alone, if any.
pub(super) fn at_once(order: &Judged) -> Option<Alert> {
    let kind = match order.outcome {
        _ if order.is_stuck => ORDER_ROWS_REFUSED,
        Outcome::Paid | Outcome::Authorized => ORDER_PAID_UNSETTLED,
        Outcome::PartlyPaid => ORDER_PARTLY_PAID,
        _ => return None,
    };
    Some(about(order, &kind))
}

/// The alert about an order that may be one of many, if any: the end of the run
/// shows.
pub(super) fn at_the_end(order: &Judged) -> Option<(Matter, Alert)> {
    let (matter, kind) = match order.outcome {
        _ if order.is_stuck => return None,
        Outcome::Missing => (Matter::OrdersMissing, ORDER_INTENT_MISSING),
        Outcome::Error | Outcome::Denied => (Matter::OrdersStuck, ORDER_CANCEL_REFUSED),
        outcome if outcome.is_stuck(order.attempts) => (Matter::OrdersStuck, ORDER_STAYS_OPEN),
        _ => return None,
    };
    Some((matter, about(order, &kind)))
}

fn about(order: &Judged, kind: &Kind) -> Alert {
    let details = json!({ "outcome": order.outcome.name(), "error": order.error });
    Alert {
        order_id: Some(order.order_id),
        ..kind.about(&order.order_id.to_string(), &[], details)
    }
}

/// The orders whose payment is told of in an open alert, and that the shop has
/// ended meanwhile: the money is still there, and the alert ends with the order.
pub(super) async fn ended_with_money(db: Unprepared<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select o.id as "id!"
          from alerts a
          join orders o on o.id = a.order_id
         where a.kind in ('order_paid_unsettled', 'order_partly_paid')
           and a.status in ('open', 'acknowledged')
           and o.status in ('EXPIRED', 'CANCELED')
           and exists (
               select from payment_intents p
                where p.order_id = o.id
                  and (p.status = 'succeeded' or p.synced_status = 'partly_paid')
           )
        "#
    )
    .fetch_all(db)
    .await
}

/// The open alerts of orders that the shop has settled, or of which Stripe has
/// said something else since; those about many orders, when none is left.
pub(super) async fn of_settled_orders(db: Unprepared<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select a.id as "id!"
          from alerts a
          join orders o on o.id = a.order_id
          left join order_expirations x on x.order_id = o.id
         where a.kind in ('order_paid_unsettled', 'order_partly_paid', 'payment_intent_missing',
                          'order_expiry_stuck')
           and a.status in ('open', 'acknowledged')
           and (o.status not in ('PENDING', 'REQUIRES_PAYMENT')
                or x.last_outcome in ('paid', 'authorized', 'partly_paid', 'processing', 'missing')
                   and a.kind <> case x.last_outcome
                       when 'partly_paid' then 'order_partly_paid'
                       when 'missing' then 'payment_intent_missing'
                       when 'processing' then ''
                       else 'order_paid_unsettled'
                   end)
        union all
        select a.id
          from alerts a
         where a.dedup_key in ('payment_intent_missing:orders', 'order_expiry_stuck:orders')
           and a.status in ('open', 'acknowledged')
           and not exists (
               select from order_expirations x
                where case a.kind
                      when 'payment_intent_missing' then x.last_outcome = 'missing'
                      else x.last_outcome = 'error'
                           or x.last_outcome = 'deferred' and x.attempts > $1
                      end
           )
        "#,
        MANY_ATTEMPTS,
    )
    .fetch_all(db)
    .await
}
