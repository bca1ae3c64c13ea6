//! A dry run: the exact plan, and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use serde_json::Value;

use crate::app::{App, JOB};
use crate::processes::until;

const OPEN_TRANSACTIONS: &str = "select count(*) from pg_stat_activity
     where datname = current_database() and state like 'idle in transaction%'";

async fn a_bit_of_everything() -> App {
    let app = App::new().await;
    app.stale_orders(3, 2).await;
    for (here, at_stripe) in [
        ("requires_action", Some("requires_action")),
        ("requires_action", Some("canceled")),
        ("requires_action", Some("succeeded")),
        ("requires_action", Some("requires_capture")),
        ("requires_action", Some("processing")),
        ("requires_action", None),
    ] {
        app.stale_order_with_intent(here, at_stripe).await;
    }
    // One order whose stock does not add up.
    let broken = app.stale_order().await;
    sqlx::query(
        "update stock_levels set reserved = 1
          where id = (select stock_level_id from stock_reservations where order_id = $1)",
    )
    .bind(broken)
    .execute(&app.db)
    .await
    .unwrap();
    app
}

#[tokio::test]
async fn a_dry_run_changes_nothing_but_its_own_row_in_the_ledger() {
    let app = a_bit_of_everything().await;
    let before = app.checksums().await;

    let reply = app.operate(JOB, "dry_run=true").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.body["dry_run"], true);
    assert_eq!(app.checksums().await, before);
    assert_eq!(app.stripe.max_effective_cancels(), 0);
    assert!(
        app.stripe
            .calls()
            .iter()
            .all(|call| call.method == axum::http::Method::GET)
    );
    assert_eq!(
        app.count("select count(*) from job_runs where dry_run")
            .await,
        1
    );
}

#[tokio::test]
async fn a_dry_run_gives_exactly_the_counts_of_the_run_that_follows() {
    let app = a_bit_of_everything().await;

    let dry = app.operate(JOB, "dry_run=true&batch_size=2").await;
    let real = app.operate(JOB, "batch_size=4").await;

    let counts = |results: &Value| {
        let mut results = results.clone();
        let results = results.as_object_mut().unwrap();
        results.remove("samples");
        // Stripe's words carry the id of the request.
        let errors = results["errors"].as_array().unwrap();
        let mut orders: Vec<String> = errors.iter().map(|e| e["order_id"].to_string()).collect();
        orders.sort();
        results["errors"] = orders.into();
        Value::Object(results.clone())
    };
    assert_eq!(counts(dry.results()), counts(real.results()));
    assert_eq!(dry.results()["orders_expired"], 5);
}

#[tokio::test]
async fn a_dry_run_names_what_it_would_touch() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;

    let reply = app.operate(JOB, "dry_run=true").await;

    let samples = &reply.results()["samples"];
    assert_eq!(samples["orders_expired"][0], order.to_string());
    assert_eq!(samples["payment_intents_canceled"][0], intent);
}

#[tokio::test]
async fn a_dry_run_names_fifty_at_the_most() {
    let app = App::new().await;
    app.stale_orders(120, 1).await;

    let reply = app.operate(JOB, "dry_run=true").await;

    assert_eq!(reply.results()["orders_expired"], 120);
    assert_eq!(
        reply.results()["samples"]["orders_expired"]
            .as_array()
            .unwrap()
            .len(),
        50
    );
}

#[tokio::test]
async fn a_dry_run_holds_no_transaction_while_stripe_is_asked() {
    let app = App::new().await;
    let (_, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.stripe.fault(
        Operation::Retrieve,
        &intent,
        Fault::Hang(Duration::from_secs(2)),
    );
    let is_answered = AtomicBool::new(false);
    let dry_run = async {
        let reply = app.operate(JOB, "dry_run=true").await;
        is_answered.store(true, Ordering::Relaxed);
        reply
    };
    // A transaction that was dropped is rolled back a moment later.
    let seen = async {
        until("the question to Stripe", async || {
            !app.stripe.calls().is_empty()
        })
        .await;
        until("no open transaction", async || {
            app.count(OPEN_TRANSACTIONS).await == 0
        })
        .await;
        !is_answered.load(Ordering::Relaxed)
    };

    let (reply, while_asked) = tokio::join!(dry_run, seen);

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert!(while_asked);
}

#[tokio::test]
async fn a_dry_run_ends_with_its_budget_too() {
    let app = App::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    app.stale_orders(4_000, 1).await;

    let reply = app.operate(JOB, "dry_run=true&batch_size=1").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
}
