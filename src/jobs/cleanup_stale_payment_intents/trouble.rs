//! What somebody has to look at: intents that Stripe does not know, and money
//! that was taken for orders that have ended.
//!
//! Owns when these alerts are raised and when they are done with; how alerts
//! are kept is [`alerts`]' business.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::alerts::{self, About, Alert};
use crate::database::Unprepared;
use crate::engine::{Batch, JobError, context};
use crate::shop::payment_intents::{Synced, Told, Word};

/// The alert about an intent that Stripe does not know.
const MISSING: &str = "payment_intent_missing";
/// The alert about an order that has ended unpaid and was paid all the same.
const PAID_AFTER_END: &str = "order_paid_after_end";
/// The statuses of an order that has ended, and owes whatever was paid for it.
const ENDED_UNPAID: [&str; 2] = ["EXPIRED", "CANCELED"];
/// The alerts about what was just told and written.
pub(super) async fn found(
    batch: &mut Batch<'_>,
    told: &[Told],
    synced: &HashMap<Uuid, Synced>,
) -> Result<Vec<Alert>, JobError> {
    let mut alerts: Vec<Alert> = told
        .iter()
        .filter_map(|told| missing(told, synced.get(&told.intent.id)?))
        .collect();
    let paid: Vec<Uuid> = synced.values().filter_map(Synced::paid_order).collect();
    if !paid.is_empty() {
        let ended = ended_unpaid(batch.db()?, &paid)
            .await
            .map_err(context("read the orders that were paid"))?;
        alerts.extend(ended.iter().map(paid_after_end));
    }
    Ok(alerts)
}

/// Resolves the alerts about intents that are no longer missing, and about
/// orders that were refunded or taken up again.
pub(super) async fn forget_settled(
    batch: &mut Batch<'_>,
    now: DateTime<Utc>,
) -> Result<(), JobError> {
    alerts::resolve_for_found_intents(batch.db()?, MISSING, now)
        .await
        .map_err(context("resolve alerts about intents"))?;
    let kinds = [PAID_AFTER_END];
    alerts::resolve_for_orders_no_longer(batch.db()?, &ENDED_UNPAID, &kinds, now)
        .await
        .map_err(context("resolve alerts about orders"))?;
    Ok(())
}

/// The alert about an intent that has just turned out to be missing.
fn missing(told: &Told, row: &Synced) -> Option<Alert> {
    let Word::Missing(error) = &told.word else {
        return None;
    };
    Some(Alert {
        kind: MISSING,
        severity: "warning",
        about: About::Intent(row.id),
        title: "Stripe does not know a payment intent that is open here".to_owned(),
        details: json!({
            "stripe_payment_intent_id": row.stripe_id,
            "order_id": row.order_id,
            "previous_status": row.old_status,
            "error": error,
        }),
        recommended_actions: json!([
            "Check that STRIPE_SECRET_KEY belongs to the account and mode the intent was made in.",
            "If it did not, set the intent's status back to what it was and last_synced_at to null: it will be asked about again.",
            "If it does, nobody can pay through this intent: dismiss the alert.",
        ]),
    })
}

/// The alert about money that was taken for an order that had ended.
fn paid_after_end(order: &EndedOrder) -> Alert {
    Alert {
        kind: PAID_AFTER_END,
        severity: "high",
        about: About::Order(order.id),
        title: format!(
            "Order {} was paid although it is {}",
            order.order_number, order.status
        ),
        details: json!({ "order_number": order.order_number, "status": order.status }),
        recommended_actions: json!([
            "Find the payment in Stripe's dashboard, by the order's payment intents.",
            "Refund it and set the order to REFUNDED, or, if the goods are still there, take the order up again.",
        ]),
    }
}

/// An order that has ended unpaid.
#[derive(Debug)]
struct EndedOrder {
    id: Uuid,
    order_number: String,
    status: String,
}

/// Which of these orders have ended unpaid, as our table has it.
async fn ended_unpaid(db: Unprepared<'_>, orders: &[Uuid]) -> sqlx::Result<Vec<EndedOrder>> {
    sqlx::query_as!(
        EndedOrder,
        "select id, order_number, status
           from orders
          where id = any($1)
            and status = any($2)
          order by id",
        orders,
        &ENDED_UNPAID.map(str::to_owned),
    )
    .fetch_all(db)
    .await
}
