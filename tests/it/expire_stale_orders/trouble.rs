//! Orders that cannot be expired, and the others, which must not suffer.

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use serde_json::json;

use crate::app::{App, Delivery, JOB};

/// Makes the books of an order wrong: its level holds less than it reserved.
async fn break_stock_of(app: &App, order: uuid::Uuid) {
    sqlx::query(
        "update stock_levels set reserved = 1
          where id = (select stock_level_id from stock_reservations where order_id = $1)",
    )
    .bind(order)
    .execute(&app.db)
    .await
    .unwrap();
}

#[tokio::test]
async fn one_bad_order_spoils_no_other_and_is_alerted_about() {
    let app = App::new().await;
    let orders = app.stale_orders(5, 3).await;
    break_stock_of(&app, orders[2]).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"));
    assert_eq!(reply.results()["orders_expired"], 4);
    assert_eq!(reply.results()["stock_released"], 12);
    assert_eq!(
        reply.results()["errors"][0]["order_id"],
        orders[2].to_string()
    );
    insta::assert_snapshot!(app.story(orders[2]).await, @"PENDING; reserved 1, ACTIVE; error; alert order_expiry_stuck");
}

#[tokio::test]
async fn what_stripe_did_for_a_bad_order_is_recorded_all_the_same() {
    let app = App::new().await;
    let (order, _) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    break_stock_of(&app, order).await;

    app.deliver(JOB).await;

    insta::assert_snapshot!(app.story(order).await, @"PENDING; reserved 1, ACTIVE; intent canceled; error; alert order_expiry_stuck; events local.payment.canceled");
}

#[tokio::test]
async fn an_order_that_always_fails_delays_no_other() {
    let app = App::new().await;
    let (_, poor) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.execute("update orders set expires_at = now() - interval '1 day'")
        .await;
    app.stripe
        .fault(Operation::Retrieve, &poor, Fault::status(400));
    let other = app.stale_order().await;

    let reply = Delivery::of(JOB)
        .body(r#"{"batch_size": 1}"#)
        .to(&app)
        .await;

    assert_eq!(reply.results()["orders_deferred"], 1);
    assert_eq!(app.order_status(other).await, "EXPIRED");
}

#[tokio::test]
async fn each_attempt_waits_longer_than_the_one_before() {
    let app = App::new().await;
    app.stale_order_with_intent("requires_action", Some("processing"))
        .await;
    let mut minutes = Vec::new();
    for _ in 0..4 {
        app.deliver(JOB).await;
        let sql = "select round(extract(epoch from next_attempt_at - updated_at) / 60) from order_expirations";
        minutes.push(app.count(sql).await);
        app.execute("update order_expirations set next_attempt_at = now()")
            .await;
    }

    assert_eq!(minutes, [15, 30, 60, 60]);
}

#[tokio::test]
async fn each_attempt_to_cancel_has_an_idempotency_key_of_its_own() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.stripe
        .fault(Operation::Cancel, &intent, Fault::status(400));
    app.deliver(JOB).await;
    app.execute("update order_expirations set next_attempt_at = now()")
        .await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    let keys: Vec<String> = app
        .stripe
        .calls()
        .into_iter()
        .filter_map(|call| call.idempotency_key)
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
}

#[rstest::rstest]
#[case::a_wrong_key(401)]
#[case::a_key_without_the_right(403)]
#[case::a_key_of_another_account(404)]
#[tokio::test]
async fn five_denials_in_a_row_stop_the_run(#[case] status: u16) {
    let app = App::new().await;
    app.stale_orders(60, 1).await;
    app.open_intents_for_all().await;
    app.stripe
        .always(Operation::Retrieve, Fault::status(status));

    let reply = app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (500, "failed"), "{reply:?}");
    assert!(
        reply.body["error"]
            .as_str()
            .unwrap()
            .contains("STRIPE_SECRET_KEY"),
        "{reply:?}"
    );
    assert!(
        app.stripe.calls().len() < 30,
        "{} calls",
        app.stripe.calls().len()
    );
    assert_eq!(
        app.count("select count(*) from orders where status = 'EXPIRED'")
            .await,
        0
    );
    // A 404 is not believed when everything is a 404.
    assert_eq!(
        app.count("select count(*) from payment_intents where status = 'missing'")
            .await,
        0
    );
    let alerts = app.rows("select dedup_key, status from alerts").await;
    assert_eq!(
        alerts,
        json!([{ "dedup_key": "stripe_denied", "status": "open" }])
    );
}

#[tokio::test]
async fn without_a_key_orders_with_intents_stay_and_the_others_expire() {
    let app = App::with(&[("STRIPE_SECRET_KEY", "")]).await;
    let (with, _) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    let without = app.stale_order().await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (500, "failed"), "{reply:?}");
    assert!(
        reply.results()["errors"][0]["error"]
            .as_str()
            .unwrap()
            .contains("STRIPE_SECRET_KEY")
    );
    assert_eq!(app.order_status(with).await, "PENDING");
    assert_eq!(app.order_status(without).await, "EXPIRED");
}

#[tokio::test]
async fn a_stripe_that_cannot_be_reached_is_tried_again_later() {
    // Nothing listens on the discard port.
    let app = App::with(&[("STRIPE_API_BASE", "http://127.0.0.1:9")]).await;
    app.stale_orders(12, 1).await;
    app.open_intents_for_all().await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (503, "failed"), "{reply:?}");
    assert!(reply.headers.contains_key("retry-after"));
    assert_eq!(
        app.count("select count(*) from orders where status = 'EXPIRED'")
            .await,
        0
    );
    assert_eq!(
        app.count("select sum(reserved) from stock_levels").await,
        12
    );
}

/// A trigger that refuses every change of an intent's row.
async fn refuse_intents(app: &App) {
    app.execute(
        "create function no() returns trigger language plpgsql as
             $$ begin raise exception 'not this row'; end $$;
         create trigger no before update on payment_intents for each row execute function no()",
    )
    .await;
}

#[tokio::test]
async fn an_intent_whose_row_is_refused_delays_no_other() {
    let app = App::new().await;
    let (bad, _) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.execute("update orders set expires_at = now() - interval '1 day'")
        .await;
    refuse_intents(&app).await;
    let other = app.stale_order().await;

    let reply = Delivery::of(JOB)
        .body(r#"{"batch_size": 1}"#)
        .to(&app)
        .await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.order_status(other).await, "EXPIRED");
    insta::assert_snapshot!(app.story(bad).await, @"PENDING; reserved 3, ACTIVE; intent requires_action; error; alert order_expiry_stuck");
}

#[tokio::test]
async fn an_alert_that_another_transaction_holds_keeps_no_order_waiting() {
    let app = App::new().await;
    let (settled, _) = app
        .stale_order_with_intent("requires_action", Some("succeeded"))
        .await;
    app.deliver(JOB).await;
    app.execute("update orders set status = 'PAID'").await;
    let due = app.stale_order().await;
    let mut operator = app.db.begin().await.unwrap();
    sqlx::query("select from alerts for update")
        .execute(&mut *operator)
        .await
        .unwrap();

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.order_status(due).await, "EXPIRED");
    operator.rollback().await.unwrap();
    app.deliver(JOB).await;
    assert!(!app.story(settled).await.contains("alert"));
}
