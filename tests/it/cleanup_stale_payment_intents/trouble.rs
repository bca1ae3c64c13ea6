//! A Stripe that denies or is away, and rows that the database refuses.

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use serde_json::json;

use super::{CLEANUP, OPEN};
use crate::app::App;

#[rstest::rstest]
#[case::a_wrong_key(401)]
#[case::a_key_without_the_right(403)]
#[case::a_key_of_another_account(404)]
#[tokio::test]
async fn five_denials_in_a_row_stop_the_run_and_no_404_is_believed(#[case] status: u16) {
    let app = App::new().await;
    app.many_intents(60).await;
    app.stripe
        .always(Operation::Retrieve, Fault::status(status));

    let reply = app.operate(CLEANUP, "").await;

    assert_eq!(reply.outcome(), (500, "failed"), "{reply:?}");
    let error = reply.body["error"].as_str().unwrap();
    assert!(error.contains("STRIPE_SECRET_KEY"), "{error}");
    assert!(app.stripe.calls().len() < 30);
    let changed = "select count(*) from payment_intents where status <> 'requires_payment_method'";
    assert_eq!(app.count(changed).await, 0);
    let alerts = app.rows("select dedup_key, status from alerts").await;
    assert_eq!(
        alerts,
        json!([{ "dedup_key": "stripe_denied", "status": "open" }])
    );
    // None of them needs to wait for an hour once the key is fixed.
    app.stripe.clear_faults();
    let fixed = app.deliver(CLEANUP).await;
    assert_eq!(fixed.results()["payment_intents_canceled"], 60);
}

#[tokio::test]
async fn five_denials_of_the_cancel_alone_stop_the_run() {
    let app = App::new().await;
    app.many_intents(120).await;
    app.stripe.always(Operation::Cancel, Fault::status(403));

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (500, "failed"), "{reply:?}");
    assert!(app.stripe.calls().len() < 80);
    assert_eq!(app.stripe.max_effective_cancels(), 0);
}

#[tokio::test]
async fn a_stripe_that_cannot_be_reached_is_tried_again_later() {
    // Nothing listens on the discard port.
    let app = App::with(&[("STRIPE_API_BASE", "http://127.0.0.1:9")]).await;
    app.many_intents(12).await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (503, "failed"), "{reply:?}");
    assert!(reply.headers.contains_key("retry-after"));
    let open = "select count(*) from payment_intents
                 where status = 'requires_payment_method' and last_synced_at is null";
    assert_eq!(app.count(open).await, 12);
}

/// Refuses a change of one row, as a trigger of the shop's might.
async fn refuse(app: &App, intent: &str, when: &str) {
    app.execute(&format!(
        "create function no() returns trigger language plpgsql as
             $$ begin raise exception 'not this row'; end $$;
         create trigger no before update on payment_intents for each row
             when (old.stripe_payment_intent_id = '{intent}' and {when})
             execute function no()"
    ))
    .await;
}

#[tokio::test]
async fn a_row_whose_new_status_is_refused_spoils_no_other_and_goes_to_the_end() {
    let app = App::new().await;
    let intents = app.many_intents(4).await;
    refuse(&app, &intents[0], "old.status <> new.status").await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["payment_intents_canceled"], 3, "{reply:?}");
    let error = &reply.results()["errors"][0];
    assert_eq!(error["payment_intent_id"], intents[0]);
    let row = app
        .rows(
            "select status, last_error, updated_at > now() - interval '1 minute' as touched,
                    last_synced_at is null as unsynced
               from payment_intents where status <> 'canceled'",
        )
        .await;
    assert_eq!(
        row,
        json!([{ "status": OPEN, "touched": true, "unsynced": true,
                 "last_error": "write what Stripe said: not this row" }])
    );
}

#[tokio::test]
async fn a_row_that_refuses_any_change_spoils_no_other() {
    let app = App::new().await;
    let intents = app.many_intents(4).await;
    refuse(&app, &intents[0], "true").await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["payment_intents_canceled"], 3, "{reply:?}");
    assert_eq!(reply.results()["errors"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn ids_that_are_none_are_errors_and_nothing_else() {
    let app = App::new().await;
    for id in ["", "..", "../balance", "pi_1?x=1#y", "π"] {
        sqlx::query(
            "insert into payment_intents (stripe_payment_intent_id, amount, created_at, updated_at)
             values ($1, 1, now() - interval '9 days', now() - interval '9 days')",
        )
        .bind(id)
        .execute(&app.db)
        .await
        .unwrap();
        app.intent_of("no order", 8, "processing", Some("processing"))
            .await;
    }

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.results()["payment_intents_canceled"], 0, "{reply:?}");
    let calls = app.stripe.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.method == axum::http::Method::GET)
    );
    let paths = calls.iter().map(|call| call.path.as_str());
    assert!(
        paths
            .clone()
            .all(|path| path.starts_with("/v1/payment_intents")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn fifty_errors_are_told_at_the_most() {
    let app = App::new().await;
    app.many_intents(70).await;
    let fails = Fault::Status {
        status: 503,
        code: None,
        should_retry: Some(false),
        retry_after: None,
    };
    app.stripe.always(Operation::Retrieve, fails);

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.results()["errors"].as_array().unwrap().len(), 50);
    assert_eq!(reply.results()["failed"], 70);
    let failed = "select count(*) from payment_intents where last_error is not null";
    assert_eq!(app.count(failed).await, 70);
}

#[rstest::rstest]
#[case::expired("EXPIRED", 1)]
#[case::canceled("CANCELED", 1)]
#[case::refunded("REFUNDED", 0)]
#[case::paid("PAID", 0)]
#[case::overdue("overdue", 0)]
#[case::no_order("no order", 0)]
#[tokio::test]
async fn a_payment_for_an_order_that_has_ended_is_alerted_until_it_is_settled(
    #[case] order: &str,
    #[case] alerts: i64,
) {
    let app = App::new().await;
    app.intent_of(order, 30, OPEN, Some("succeeded")).await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.results()["payments_updated"], 1, "{reply:?}");
    assert_eq!(reply.results()["alerts_opened"], alerts);
    let open = "select count(*) from alerts
                 where kind = 'order_paid_after_end' and status = 'open' and order_id is not null";
    assert_eq!(app.count(open).await, alerts);
    app.deliver(CLEANUP).await;
    app.deliver("expire-stale-orders").await;
    assert_eq!(app.count(open).await, alerts, "it is not settled");
    app.execute("update orders set status = 'REFUNDED'").await;
    app.deliver(CLEANUP).await;
    assert_eq!(app.count(open).await, 0);
}

#[tokio::test]
async fn intents_of_a_former_account_delay_no_other_while_stripe_knows_another() {
    let app = App::new().await;
    for _ in 0..60 {
        app.intent_of("no order", 90, OPEN, None).await;
    }
    app.many_intents(10).await;
    let known = app
        .intent_of("no order", 1, "succeeded", Some("succeeded"))
        .await;
    app.execute(&format!(
        "update payment_intents set last_synced_at = now() - interval '1 day'
          where stripe_payment_intent_id = '{known}'"
    ))
    .await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["payments_updated"], 60);
    assert_eq!(reply.results()["payment_intents_canceled"], 10);
}

#[tokio::test]
async fn a_key_that_stripe_knew_once_proves_nothing_when_it_is_denied() {
    let app = App::new().await;
    app.many_intents(60).await;
    app.execute(
        "update payment_intents set last_synced_at = now() - interval '1 day'
          where id = (select id from payment_intents limit 1)",
    )
    .await;
    app.stripe.always(Operation::Retrieve, Fault::status(404));

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (500, "failed"), "{reply:?}");
    let missing = "select count(*) from payment_intents where status = 'missing'";
    assert_eq!(app.count(missing).await, 0);
}

#[tokio::test]
async fn an_alert_with_an_odd_key_keeps_no_other_from_being_resolved() {
    let app = App::new().await;
    app.intent_of("no order", 8, OPEN, None).await;
    app.deliver(CLEANUP).await;
    app.execute(
        "update payment_intents set status = 'canceled';
         insert into alerts (kind, dedup_key, title)
         values ('payment_intent_missing', 'payment_intent_missing:pi_123', 'by hand')",
    )
    .await;

    app.deliver(CLEANUP).await;

    let open = app
        .rows("select dedup_key from alerts where status = 'open'")
        .await;
    assert_eq!(
        open,
        json!([{ "dedup_key": "payment_intent_missing:pi_123" }])
    );
}
