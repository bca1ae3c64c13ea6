//! The alerts about orders that stay: which are raised, and when they end.

use serde_json::json;
use uuid::Uuid;

use super::verdict::{Judged, Outcome};
use crate::alerts::Alert;
use crate::alerts::kinds::{
    ORDER_CANCEL_REFUSED, ORDER_INTENT_MISSING, ORDER_PAID_UNSETTLED, ORDER_ROWS_REFUSED,
};
use crate::database::Unprepared;

/// The alert that an order which stays needs, if any.
pub(super) fn about(order: &Judged) -> Option<Alert> {
    let kind = match order.outcome {
        _ if order.is_stuck => ORDER_ROWS_REFUSED,
        Outcome::Error => ORDER_CANCEL_REFUSED,
        Outcome::Paid | Outcome::Authorized => ORDER_PAID_UNSETTLED,
        Outcome::Missing => ORDER_INTENT_MISSING,
        _ => return None,
    };
    let details = json!({ "outcome": order.outcome.name(), "error": order.error });
    Some(Alert {
        order_id: Some(order.order_id),
        ..kind.about(&order.order_id.to_string(), &[], details)
    })
}

/// The open alerts of orders that the shop has settled.
pub(super) async fn of_settled_orders(db: Unprepared<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select a.id
           from alerts a
           join orders o on o.id = a.order_id
          where o.status not in ('PENDING', 'REQUIRES_PAYMENT')
            and a.kind in ('order_paid_unsettled', 'payment_intent_missing', 'order_expiry_stuck')
            and a.status in ('open', 'acknowledged')",
    )
    .fetch_all(db)
    .await
}
