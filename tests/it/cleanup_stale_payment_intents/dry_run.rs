//! A dry run: the exact plan, and nothing else.

use axum::http::Method;
use serde_json::Value;

use super::{CLEANUP, OPEN};
use crate::app::App;

#[tokio::test]
async fn a_dry_run_changes_nothing_and_only_reads_at_stripe() {
    let app = App::new().await;
    app.a_bit_of_everything().await;
    let before = app.checksums().await;

    let reply = app.operate(CLEANUP, "dry_run=true").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.checksums().await, before);
    let calls = app.stripe.calls();
    assert_eq!(calls.len(), 10);
    assert!(calls.iter().all(|call| call.method == Method::GET));
    assert_eq!(app.stripe.max_effective_cancels(), 0);
}

#[tokio::test]
async fn a_dry_run_gives_exactly_the_counts_of_the_run_that_follows() {
    let app = App::new().await;
    app.a_bit_of_everything().await;

    let dry = app.operate(CLEANUP, "dry_run=true&batch_size=2").await;
    let real = app.operate(CLEANUP, "batch_size=4").await;

    let counts = |results: &Value| {
        let mut results = results.clone();
        let fields = results.as_object_mut().unwrap();
        fields.remove("samples");
        // Stripe's words carry the id of the request.
        fields["errors"][0]["error"].take();
        results
    };
    assert_eq!(counts(dry.results()), counts(real.results()));
    insta::assert_snapshot!(real.body["message"].as_str().unwrap(), @"cleanup-stale-payment-intents succeeded: alerts_opened 1, failed 1, left_alone 2, payment_intents_canceled 3, payments_updated 4");
}

#[tokio::test]
async fn a_dry_run_names_what_it_would_touch_and_fifty_at_the_most() {
    let app = App::new().await;
    let canceled = app.many_intents(120).await;
    let left = app
        .intent_of("no order", 8, "processing", Some("processing"))
        .await;
    let updated = app.intent_of("no order", 8, OPEN, Some("succeeded")).await;

    let reply = app.operate(CLEANUP, "dry_run=true").await;

    let samples = &reply.results()["samples"];
    assert_eq!(samples["left_alone"], serde_json::json!([left]));
    assert_eq!(samples["payments_updated"], serde_json::json!([updated]));
    let named = samples["payment_intents_canceled"].as_array().unwrap();
    assert_eq!(reply.results()["payment_intents_canceled"], 120);
    assert_eq!(named.len(), 50);
    assert!(named.iter().all(|id| canceled.iter().any(|it| id == it)));
}

#[tokio::test]
async fn a_dry_run_ends_with_its_budget_too() {
    let budget = [("RUN_BUDGET_SECONDS", "1"), ("STRIPE_MAX_RPS", "40")];
    let app = App::with(&budget).await;
    app.many_intents(200).await;

    let reply = app.operate(CLEANUP, "dry_run=true").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    let planned = reply.results()["payment_intents_canceled"]
        .as_i64()
        .unwrap();
    assert!((1..200).contains(&planned), "{planned}");
}

#[tokio::test]
async fn intents_unknown_to_stripe_stop_a_dry_run_no_sooner_than_a_real_one() {
    let app = App::new().await;
    app.intent_of("no order", 30, OPEN, Some(OPEN)).await;
    for days in [29, 28, 27, 26, 20, 19] {
        app.intent_of("no order", days, OPEN, None).await;
    }
    for days in [15, 14, 13] {
        app.intent_of("no order", days, OPEN, Some(OPEN)).await;
    }

    let dry = app.operate(CLEANUP, "dry_run=true&batch_size=5").await;
    let real = app.operate(CLEANUP, "batch_size=5").await;

    for reply in [dry, real] {
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        assert_eq!(reply.results()["payments_updated"], 6);
        assert_eq!(reply.results()["payment_intents_canceled"], 4);
    }
}
