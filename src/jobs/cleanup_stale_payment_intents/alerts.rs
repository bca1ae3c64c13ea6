//! The alerts about intents that Stripe does not know, and about money that
//! was charged for orders that have ended: what they are raised about, and when
//! they end.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use crate::alerts::Alert;
use crate::alerts::kinds::INTENT_MISSING;
use crate::database::Unprepared;
use crate::shop::payment_intents::{IntentReport, IntentState, Synced};

/// The alerts about intents that have just turned out to be missing.
pub(super) fn about_missing(
    reports: &[IntentReport],
    synced: &HashMap<Uuid, Synced>,
) -> Vec<Alert> {
    let missing = reports
        .iter()
        .filter_map(|report| missing(report, synced.get(&report.intent.id)?));
    missing.collect()
}

/// The orders for which money has come in, or a part of it.
pub(super) fn paid_orders(reports: &[IntentReport], synced: &HashMap<Uuid, Synced>) -> Vec<Uuid> {
    let partly = reports
        .iter()
        .filter(|report| matches!(report.state, IntentState::PartlyPaid(_)))
        .filter_map(|report| synced.get(&report.intent.id)?.order_id);
    let paid = synced.values().filter_map(Synced::paid_order);
    paid.chain(partly).collect()
}

/// The alert about an intent that has just turned out to be missing. It names
/// no order in `order_id`, because it does not end with the order.
fn missing(report: &IntentReport, row: &Synced) -> Option<Alert> {
    let IntentState::Missing(error) = &report.state else {
        return None;
    };
    let details = json!({
        "stripe_payment_intent_id": row.stripe_id,
        "order_id": row.order_id,
        "previous_status": row.old_status,
        "error": error,
    });
    row.has_turned
        .then(|| INTENT_MISSING.about(&row.id.to_string(), &[], details))
}

/// The open alerts about intents that are no longer missing, and about orders
/// that were refunded or taken up again.
pub(super) async fn settled(db: Unprepared<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select a.id as "id!"
          from alerts a
          join payment_intents p on p.id = uuid_or_null(split_part(a.dedup_key, ':', 2))
         where a.kind = 'payment_intent_missing'
           and a.order_id is null
           and a.status in ('open', 'acknowledged')
           and p.status <> 'missing'
        union all
        select a.id
          from alerts a
         where a.dedup_key = 'payment_intent_missing:intents'
           and a.status in ('open', 'acknowledged')
           and not exists (select from payment_intents where status = 'missing')
        union all
        select a.id
          from alerts a
          join orders o on o.id = a.order_id
         where a.kind = 'order_paid_after_end'
           and a.status in ('open', 'acknowledged')
           and o.status not in ('EXPIRED', 'CANCELED')
        "#,
    )
    .fetch_all(db)
    .await
}
