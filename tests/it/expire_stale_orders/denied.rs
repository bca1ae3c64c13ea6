//! A key that is denied, refused or of the other mode, and a Stripe that is away: no run is called
//! a success, one alert says so, and everything recovers by itself.

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use rstest::rstest;
use serde_json::json;

use crate::app::{App, JOB, Reply};
use crate::payments::OPEN;

/// So many overdue orders with an open intent each.
async fn due_orders(app: &App, count: i32) {
    app.stale_orders(count, 1).await;
    app.open_intents_for_all().await;
}

/// Nothing was changed for any order or intent, and no alert is about one of them.
async fn assert_all_held(app: &App, orders: i32) {
    let found = app
        .rows(
            "select (select count(*) from orders where status = 'PENDING') as pending,
                    (select sum(reserved) from stock_levels) as reserved,
                    (select count(*) from payment_intents where status = 'requires_payment_method')
                        as open,
                    (select count(*) from alerts where order_id is not null) as about_orders",
        )
        .await;
    let expected =
        json!([{ "pending": orders, "reserved": orders, "open": orders, "about_orders": 0 }]);
    assert_eq!(found, expected);
    assert_eq!(app.stripe.max_effective_cancels(), 0);
}

/// Stripe answers again: all orders expire, and the alert ends.
async fn assert_recovers(app: &App, orders: i32) {
    app.stripe.clear_faults();
    app.wait_no_longer().await;
    let reply = app.deliver(JOB).await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], orders, "{reply:?}");
    assert_eq!(app.open_alerts().await, "");
    let resolved = app.rows("select distinct status from alerts").await;
    assert_eq!(resolved, json!([{ "status": "resolved" }]));
}

fn assert_failed(reply: &Reply) {
    assert_eq!(reply.outcome(), (500, "failed"), "{reply:?}");
    assert!(!reply.text.contains("nothing to do"), "{reply:?}");
}

#[rstest]
#[case::a_revoked_key(Operation::Retrieve, Fault::status(401), "stripe_denied")]
#[case::a_key_that_may_not_read(Operation::Retrieve, Fault::status(403), "stripe_denied")]
#[case::a_key_that_may_not_cancel(Operation::Cancel, Fault::status(403), "stripe_denied:write")]
#[case::a_key_revoked_between(Operation::Cancel, Fault::status(401), "stripe_denied:write")]
#[case::a_key_of_the_other_mode(Operation::Retrieve, Fault::OtherMode, "stripe_denied")]
#[tokio::test]
async fn a_run_that_was_only_denied_has_failed_and_one_alert_is_open_until_stripe_answers(
    #[case] operation: Operation,
    #[case] fault: Fault,
    #[case] alert: &str,
    #[values(1, 4, 5, 6, 60)] orders: i32,
) {
    let app = App::new().await;
    due_orders(&app, orders).await;
    app.stripe.always(operation, fault);

    assert_failed(&app.deliver(JOB).await);

    assert_eq!(app.open_alerts().await, alert);
    assert_all_held(&app, orders).await;
    // The next one is denied as well, and it is the same matter.
    app.wait_no_longer().await;
    assert_failed(&app.deliver(JOB).await);
    assert_eq!(app.count("select count(*) from alerts").await, 1);
    assert_all_held(&app, orders).await;
    assert_recovers(&app, orders).await;
}

#[rstest]
#[case::that_may_not_read(Operation::RetrieveSession, "stripe_denied")]
#[case::that_may_not_expire(Operation::ExpireSession, "stripe_denied:write")]
#[tokio::test]
async fn a_key_without_a_right_to_sessions_is_told_of(
    #[case] operation: Operation,
    #[case] alert: &str,
    #[values(1, 6)] orders: i32,
) {
    let app = App::new().await;
    for order in app.stale_orders(orders, 1).await {
        app.session_row(Some(order), 0, Some("open")).await;
    }
    app.stripe.always(operation, Fault::status(403));

    assert_failed(&app.deliver(JOB).await);

    assert_eq!(app.open_alerts().await, alert);
    assert_all_held(&app, orders).await;
    assert_recovers(&app, orders).await;
}

#[rstest]
#[case::without_a_code(400, None)]
#[case::with_a_code(400, Some("account_invalid"))]
#[case::with_another_status(402, None)]
#[tokio::test]
async fn one_refusal_for_every_call_is_one_matter(
    #[case] status: u16,
    #[case] code: Option<&str>,
    #[values(2, 4, 5, 6, 150)] orders: i32,
) {
    let app = App::new().await;
    due_orders(&app, orders).await;
    let fault = Fault::Status {
        status,
        code: code.map(str::to_owned),
        should_retry: None,
        retry_after: None,
    };
    app.stripe.always(Operation::Retrieve, fault);

    assert_failed(&app.deliver(JOB).await);

    assert_eq!(app.open_alerts().await, "stripe_refuses_all");
    assert_all_held(&app, orders).await;
    assert_recovers(&app, orders).await;
}

#[tokio::test]
async fn refusals_that_differ_are_a_matter_of_their_orders() {
    let app = App::new().await;
    let (_, one) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    let (_, two) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    for (intent, status) in [(one, 400), (two, 402)] {
        app.stripe
            .fault(Operation::Retrieve, &intent, Fault::status(status));
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(
        app.open_alerts().await,
        "order_expiry_stuck order_expiry_stuck"
    );
}

#[tokio::test]
async fn cancels_that_are_refused_alike_are_a_matter_of_their_orders() {
    let app = App::new().await;
    // Sessions own the intents, which we do not know of: each cancel meets the same refusal.
    for _ in 0..3 {
        let (_, intent) = app.stale_order_with_intent(OPEN, None).await;
        app.stripe.add(jarvis_cron::demo::stripe_double::Intent {
            checkout_session_id: Some(format!("cs_of_{intent}")),
            ..jarvis_cron::demo::stripe_double::Intent::new(&intent, OPEN)
        });
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(
        app.open_alerts().await,
        "order_expiry_stuck order_expiry_stuck order_expiry_stuck"
    );
}

#[rstest]
#[case::denied(Fault::status(403))]
#[case::refused(Fault::status(400))]
#[case::of_the_other_mode(Fault::OtherMode)]
#[tokio::test]
async fn a_run_in_which_stripe_answered_once_has_not_failed(#[case] fault: Fault) {
    let app = App::new().await;
    let (bad, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    let (good, _) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    for _ in 0..4 {
        app.stripe
            .fault(Operation::Retrieve, &intent, fault.clone());
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.order_status(good).await, "EXPIRED");
    let story = app.story(bad).await;
    assert!(story.starts_with("PENDING; reserved 3, ACTIVE"), "{story}");
    assert!(story.contains(&format!("intent {OPEN}")), "{story}");
    let alerts = app.open_alerts().await;
    assert!(!alerts.contains("stripe_refuses_all"), "{alerts}");
    assert_eq!(reply.results()["errors"][0]["order_id"], bad.to_string());
}

#[rstest]
#[case::denied(Operation::Retrieve, Fault::status(401), 500)]
#[case::refused(Operation::Retrieve, Fault::status(400), 500)]
#[case::of_the_other_mode(Operation::Retrieve, Fault::OtherMode, 500)]
#[case::unreachable(Operation::Retrieve, Fault::Disconnect, 503)]
#[tokio::test]
async fn orders_without_an_intent_expire_in_a_run_that_fails(
    #[case] operation: Operation,
    #[case] fault: Fault,
    #[case] status: u16,
    #[values(2, 6)] orders: i32,
) {
    let app = App::new().await;
    due_orders(&app, orders).await;
    let without = app.stale_order().await;
    app.stripe.always(operation, fault);

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (status, "failed"), "{reply:?}");
    assert_eq!(app.order_status(without).await, "EXPIRED");
    let held = "select count(*) from orders where status = 'PENDING'";
    assert_eq!(app.count(held).await, i64::from(orders));
}

#[rstest]
#[case::denied(Fault::status(401), 500)]
#[case::refused(Fault::status(400), 500)]
#[case::of_the_other_mode(Fault::OtherMode, 500)]
#[case::unreachable(Fault::Disconnect, 503)]
#[tokio::test]
async fn a_dry_run_that_learns_nothing_has_failed_and_alerts_nobody(
    #[case] fault: Fault,
    #[case] status: u16,
    #[values(2, 6)] orders: i32,
) {
    let app = App::new().await;
    due_orders(&app, orders).await;
    app.stripe.always(Operation::Retrieve, fault);

    let reply = app.assert_a_dry_run_changes_nothing(JOB).await;

    assert_eq!(reply.outcome(), (status, "failed"), "{reply:?}");
}

#[rstest]
#[tokio::test]
async fn a_stripe_that_cannot_be_reached_fails_the_run_and_is_tried_again(
    #[values(1, 4, 5, 6)] orders: i32,
    #[values("no connection", "no answer")] how: &str,
) {
    // Nothing listens on the discard port.
    let away: &[(&str, &str)] = match how {
        "no connection" => &[("STRIPE_API_BASE", "http://127.0.0.1:9")],
        _ => &[],
    };
    let app = App::with(away).await;
    due_orders(&app, orders).await;
    app.stripe.always(Operation::Retrieve, Fault::Disconnect);

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (503, "failed"), "{reply:?}");
    assert!(reply.headers.contains_key("retry-after"));
    assert!(!reply.text.contains("nothing to do"), "{reply:?}");
    assert_all_held(&app, orders).await;
}

#[rstest]
#[case::an_error_of_stripes(Fault::status(500))]
#[case::a_rate_limit(Fault::status(429))]
#[case::no_json(Fault::GarbledBody)]
#[case::a_refusal(Fault::status(400))]
#[case::a_denial(Fault::status(403))]
#[case::silence(Fault::Disconnect)]
#[case::unknown(Fault::status(404))]
#[tokio::test]
async fn nothing_to_do_is_never_said_beside_an_error(
    #[case] fault: Fault,
    #[values(true, false)] is_dry: bool,
) {
    let app = App::new().await;
    app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    app.stripe.always(Operation::Retrieve, fault);

    let reply = app.operate(JOB, &format!("dry_run={is_dry}")).await;

    assert!(!reply.contradicts_itself(), "{reply:?}");
    let order = "select count(*) from orders where status = 'PENDING'";
    assert_eq!(app.count(order).await, 1);
}
