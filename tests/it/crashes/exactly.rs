//! What must be true of the rows and of Stripe, during a run and after it.

use std::collections::BTreeSet;

use jarvis_cron::demo::stripe_double::Operation;
use serde_json::json;
use sqlx::{Postgres, Transaction};

use crate::app::App;

/// Batches that wait for a lock.
pub(crate) const WAITING: &str = "select count(*) from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'";

/// So many orders of three units, so many of them with an intent: each was
/// expired once, here, at Stripe, in the audit trail and in the ledger.
pub(crate) async fn assert_each_expired_once(app: &App, orders: i64, intents: i64, how: &str) {
    let found = app
        .rows(
            "select (select count(*) from orders where status = 'EXPIRED') as expired,
                    (select count(*) from payment_intents where status = 'canceled') as canceled,
                    (select sum(quantity) from stock_reservations where status = 'RELEASED')
                        as released,
                    (select sum(reserved) from stock_levels) as reserved,
                    (select count(*) from audit_events where event_type = 'local.order.expired')
                        as expiry_noted,
                    (select count(*) from audit_events where event_type = 'local.payment.canceled')
                        as cancel_noted,
                    sum((results ->> 'orders_expired')::bigint) as expired_counted,
                    sum((results ->> 'payment_intents_canceled')::bigint) as canceled_counted,
                    sum((results ->> 'stock_released')::bigint) as released_counted
               from job_runs",
        )
        .await;
    let expected = json!([{
        "expired": orders, "expiry_noted": orders, "expired_counted": orders,
        "canceled": intents, "cancel_noted": intents, "canceled_counted": intents,
        "released": 3 * orders, "reserved": 0, "released_counted": 3 * orders,
    }]);
    assert_eq!(found, expected, "{how}");
    let effects = app.stripe.cancel_effects();
    assert_eq!(i64::try_from(effects.len()), Ok(intents), "{how}");
    assert!(effects.values().all(|times| *times == 1), "{how}");
    // No second key either, which would be a second cancel to Stripe.
    let calls = app.stripe.calls();
    let cancels = calls
        .iter()
        .filter(|it| it.operation == Some(Operation::Cancel));
    let keys: BTreeSet<_> = cancels.map(|it| it.idempotency_key.as_deref()).collect();
    assert_eq!(keys.len(), effects.len(), "{how}");
}

/// Each order is as it was, or expired with its stock, its intents and its audit
/// row; and the ledger counts what is expired, whoever died.
pub(crate) async fn assert_nothing_half_done(app: &App, how: &str) {
    let half_done = app
        .rows(
            "select o.*
               from orders o
               join stock_reservations r on r.order_id = o.id
               join stock_levels s on s.id = r.stock_level_id
              where (r.status, s.reserved, exists (
                        select from audit_events e
                         where e.entity_id = o.id::text
                           and e.event_type = 'local.order.expired'), exists (
                        select from payment_intents p
                         where p.order_id = o.id
                           and p.status <> 'canceled') and o.status = 'EXPIRED')
                    <> (case o.status when 'EXPIRED' then 'RELEASED' else 'ACTIVE' end,
                        case o.status when 'EXPIRED' then 0 else 3 end,
                        o.status = 'EXPIRED', false)",
        )
        .await;
    assert_eq!(half_done, json!([]), "{how}");
    let miscounted = app
        .count(
            "select (select count(*) from orders where status = 'EXPIRED')
                  - (select coalesce(sum((results ->> 'orders_expired')::bigint), 0) from job_runs)",
        )
        .await;
    assert_eq!(miscounted, 0, "{how}");
}

pub(crate) async fn expired(app: &App) -> i64 {
    app.count("select count(*) from orders where status = 'EXPIRED'")
        .await
}

pub(crate) async fn is_running(app: &App, attempt: i32) -> bool {
    let running =
        format!("select count(*) from job_runs where status = 'running' and attempt = {attempt}");
    app.count(&running).await == 1
}

/// How the runs ended, in their order.
pub(crate) async fn statuses(app: &App) -> Vec<String> {
    sqlx::query_scalar("select status from job_runs order by id")
        .fetch_all(&app.db)
        .await
        .unwrap()
}

pub(crate) fn was_asked_about(app: &App, intent: &str) -> bool {
    let calls = app.stripe.calls();
    calls.iter().any(|it| it.intent.as_deref() == Some(intent))
}

/// Keeps a stock level locked, so that a batch waits inside its transaction.
pub(crate) async fn hold_stock(app: &App) -> Transaction<'static, Postgres> {
    let mut held = app.db.begin().await.unwrap();
    sqlx::query("select from stock_levels for update")
        .execute(&mut *held)
        .await
        .unwrap();
    held
}
