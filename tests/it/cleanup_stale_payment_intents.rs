//! cleanup-stale-payment-intents, from request to Stripe's word in our rows.

use serde_json::json;

use crate::app::{App, Delivery, now};

mod another_answer;
mod answers;
mod denied;
mod dry_run;
mod faults;
mod killed;
mod last_look;
mod races;
mod rows;
mod sessions;
mod transfers;
mod trouble;
mod trust;
mod turns;

const CLEANUP: &str = "cleanup-stale-payment-intents";
const OPEN: &str = "requires_payment_method";

#[tokio::test]
async fn an_intent_that_was_let_lie_is_canceled_at_stripe_and_here() {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(
        *reply.results(),
        json!({ "payment_intents_canceled": 1, "payments_updated": 0, "left_alone": 0,
                "alerts_opened": 0, "errors": [] })
    );
    assert_eq!(app.stripe.status(&intent).as_deref(), Some("canceled"));
    // Stripe tells whole seconds, and our clock does not.
    let row = app
        .rows(
            "select status, cancellation_reason, cancel_attempts,
                    canceled_at = date_trunc('second', canceled_at) as dated,
                    last_error, last_synced_at is not null as synced
               from payment_intents",
        )
        .await;
    assert_eq!(
        row,
        json!([{ "status": "canceled", "cancellation_reason": "abandoned", "dated": true,
                 "cancel_attempts": 1, "last_error": null, "synced": true }])
    );
    let event = app
        .rows("select event_type, actor, run_id, payload from audit_events")
        .await;
    assert_eq!(
        event,
        json!([{ "event_type": "local.payment.canceled", "run_id": reply.body["run_id"],
                 "actor": "system:cleanup-stale-payment-intents",
                 "payload": { "stripe_payment_intent_id": intent, "order_id": null,
                              "previous_status": OPEN, "cancellation_reason": "abandoned",
                              "canceled_by": "us" } }])
    );
}

#[tokio::test]
async fn a_second_run_changes_nothing_and_asks_nothing() {
    let app = App::new().await;
    app.a_bit_of_everything().await;
    app.deliver(CLEANUP).await;
    let mut after_the_first = app.checksums().await;
    let calls = app.stripe.calls().len();

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(
        reply.body["message"],
        "cleanup-stale-payment-intents succeeded: nothing to do"
    );
    assert_eq!(app.stripe.calls().len(), calls);
    let mut after_the_second = app.checksums().await;
    // Every settled run has its line.
    after_the_first.remove("system_logs");
    after_the_second.remove("system_logs");
    assert_eq!(after_the_first, after_the_second);
}

#[tokio::test]
async fn an_order_that_can_still_be_paid_is_not_even_asked_about() {
    let app = App::new().await;
    for status in [OPEN, "requires_action", "requires_capture", "processing"] {
        app.intent_of("in time", 400, status, Some(status)).await;
        app.intent_of("never due", 400, status, Some(status)).await;
    }
    let before = app.checksums().await;

    let reply = app.operate(CLEANUP, "").await;

    assert_eq!(reply.results()["left_alone"], 0, "{reply:?}");
    assert!(app.stripe.calls().is_empty());
    let mut after = app.checksums().await;
    after.insert("system_logs".to_owned(), before["system_logs"].clone());
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_young_intent_is_left_to_its_customer_unless_its_order_has_ended() {
    let app = App::new().await;
    for order in [
        "no order", "overdue", "PAID", "EXPIRED", "CANCELED", "REFUNDED",
    ] {
        app.intent_of(order, 6, OPEN, Some(OPEN)).await;
    }

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.results()["payment_intents_canceled"], 3, "{reply:?}");
    let ended = app
        .rows(
            "select o.status from payment_intents p join orders o on o.id = p.order_id
              where p.status = 'canceled' order by 1",
        )
        .await;
    assert_eq!(
        ended,
        json!([{ "status": "CANCELED" }, { "status": "EXPIRED" }, { "status": "REFUNDED" }])
    );
}

#[tokio::test]
async fn a_limit_bounds_the_run_and_the_next_goes_on() {
    let app = App::new().await;
    app.many_intents(7).await;

    let first = Delivery::of(CLEANUP)
        .body(r#"{"limit": 5, "batch_size": 2}"#)
        .to(&app)
        .await;
    let second = app.deliver(CLEANUP).await;

    assert_eq!(first.outcome(), (200, "succeeded"));
    assert_eq!(first.results()["payment_intents_canceled"], 5);
    assert_eq!(second.results()["payment_intents_canceled"], 2);
}

#[tokio::test]
async fn shards_divide_the_intents_without_overlap() {
    let app = App::new().await;
    app.many_intents(40).await;

    let mut canceled = 0;
    for index in 0..3 {
        let body = format!(r#"{{"shard": {{"index": {index}, "count": 3}}}}"#);
        let reply = Delivery::of(CLEANUP).body(&body).to(&app).await;
        let mine = reply.results()["payment_intents_canceled"]
            .as_i64()
            .unwrap();
        assert!((1..40).contains(&mine), "shard {index} canceled {mine}");
        canceled += mine;
    }

    assert_eq!(canceled, 40);
    assert_eq!(app.stripe.max_effective_cancels(), 1);
}

#[tokio::test]
async fn a_moment_is_replayed_without_what_came_later() {
    let app = App::new().await;
    // As of two days ago, one was a week old, one was not, and one not made.
    let old = app.intent_of("no order", 10, OPEN, Some(OPEN)).await;
    app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
    app.intent_of("EXPIRED", 1, OPEN, Some(OPEN)).await;
    let moment = now() - chrono::Duration::days(2);

    let body = json!({ "as_of": moment }).to_string();
    let reply = Delivery::of(CLEANUP).body(&body).to(&app).await;

    assert_eq!(reply.results()["payment_intents_canceled"], 1, "{reply:?}");
    assert_eq!(app.stripe.effective_cancels(&old), 1);
    let synced = app
        .rows("select last_synced_at from payment_intents where status = 'canceled'")
        .await;
    let synced = synced[0]["last_synced_at"].as_str().unwrap();
    let synced: chrono::DateTime<chrono::Utc> = synced.parse().unwrap();
    assert_eq!((synced - moment).num_milliseconds(), 0);
}

#[tokio::test]
async fn stripes_word_is_good_for_an_hour() {
    let app = App::new().await;
    app.intent_of("no order", 8, "processing", Some("processing"))
        .await;
    app.deliver(CLEANUP).await;
    app.execute(
        "update payment_intents
            set last_synced_at = now() - interval '59 minutes', updated_at = last_synced_at",
    )
    .await;
    let within = app.deliver(CLEANUP).await;
    app.execute("update payment_intents set last_synced_at = now() - interval '61 minutes'")
        .await;

    let after = app.deliver(CLEANUP).await;

    assert_eq!(within.results()["left_alone"], 0);
    assert_eq!(after.results()["left_alone"], 1);
}
