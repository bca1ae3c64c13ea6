//! What our rows say of a payment, and what Stripe says: only the latter ends an order.

use rstest::rstest;
use serde_json::json;

use crate::app::{App, JOB};
use crate::payments::OPEN;

const PAID: &str = "PENDING; reserved 3, ACTIVE; intent succeeded; paid";
const HELD: &str = "PENDING; reserved 3, ACTIVE; intent requires_capture; authorized";
const PROCESSING: &str = "PENDING; reserved 3, ACTIVE; intent processing; processing";
const EXPIRED: &str = "EXPIRED; reserved 0, RELEASED; intent canceled";

/// The story without its alerts and events.
async fn ending(app: &App, order: uuid::Uuid) -> String {
    let story = app.story(order).await;
    let parts = story.split("; ");
    let kept: Vec<&str> = parts
        .filter(|part| !part.starts_with("alert") && !part.starts_with("events"))
        .collect();
    kept.join("; ")
}

#[rstest]
#[tokio::test]
async fn a_status_that_another_system_wrote_ends_no_order(
    #[values("canceled", "succeeded", "missing")] here: &str,
    #[values(
        (OPEN, EXPIRED),
        ("requires_confirmation", EXPIRED),
        ("requires_action", EXPIRED),
        ("canceled", EXPIRED),
        ("processing", PROCESSING),
        ("requires_capture", HELD),
        ("succeeded", PAID),
    )]
    at_stripe: (&str, &str),
) {
    let app = App::new().await;
    let (at_stripe, story) = at_stripe;
    let (order, intent) = app.stale_order_with_intent(here, Some(at_stripe)).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(ending(&app, order).await, story);
    let is_open = !["canceled", "processing", "requires_capture", "succeeded"].contains(&at_stripe);
    assert_eq!(app.stripe.effective_cancels(&intent), usize::from(is_open));
    let alerts = app.open_alerts().await;
    assert_eq!(
        alerts.contains("order_paid_unsettled"),
        [PAID, HELD].contains(&story),
        "{alerts}"
    );
    app.assert_another_run_changes_nothing(JOB).await;
}

#[rstest]
#[case::canceled("canceled", OPEN)]
#[case::canceled_but_paid("canceled", "succeeded")]
#[case::succeeded("succeeded", OPEN)]
#[case::succeeded_but_canceled("succeeded", "canceled")]
#[case::missing("missing", OPEN)]
#[tokio::test]
async fn a_dry_run_asks_about_a_status_of_another_system_too(
    #[case] here: &str,
    #[case] at_stripe: &str,
) {
    let app = App::new().await;
    app.stale_order_with_intent(here, Some(at_stripe)).await;

    let dry = app.assert_a_dry_run_changes_nothing(JOB).await;
    let real = app.deliver(JOB).await;

    for count in [
        "orders_expired",
        "orders_paid",
        "orders_deferred",
        "stock_released",
    ] {
        assert_eq!(dry.results()[count], real.results()[count], "{count}");
    }
}

#[rstest]
#[case::open(OPEN, true)]
#[case::canceled("canceled", true)]
#[case::processing("processing", true)]
#[case::held("requires_capture", true)]
#[case::as_it_says("succeeded", false)]
#[tokio::test]
async fn money_that_our_row_has_and_stripe_has_not_is_noted_and_alerted_once(
    #[case] at_stripe: &str,
    #[case] is_corrected: bool,
) {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("succeeded", Some(at_stripe))
        .await;

    let reply = app.deliver(JOB).await;
    app.wait_no_longer().await;
    app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let here = app.rows("select status from payment_intents").await;
    assert_eq!(
        here,
        json!([{ "status": app.stripe.status(&intent).unwrap() }])
    );
    let alerts = "select count(*) from alerts where kind = 'payment_status_corrected'";
    assert_eq!(app.count(alerts).await, i64::from(is_corrected));
    let noted = format!(
        "select count(*) from audit_events e, payment_intents p
          where e.entity_id = p.id::text and p.order_id = '{order}'
            and e.payload ->> 'previous_status' = 'succeeded'"
    );
    assert_eq!(
        app.count(&noted).await > 0,
        is_corrected,
        "{}",
        app.story(order).await
    );
}

#[rstest]
#[tokio::test]
async fn a_session_that_another_system_calls_over_is_asked_about(
    #[values("canceled", "succeeded", "missing")] here: &str,
    #[values(None, Some(OPEN), Some("succeeded"), Some("processing"))] customer: Option<&str>,
) {
    let app = App::new().await;
    let order = app.stale_order().await;
    let session = app.session_row(Some(order), 0, Some("open")).await;
    app.execute(&format!("update payment_intents set status = '{here}'"))
        .await;
    if let Some(status) = customer {
        app.customer_of(&session, status);
    }

    app.deliver(JOB).await;

    let story = match customer {
        Some("succeeded") => PAID,
        Some("processing") => PROCESSING,
        _ => EXPIRED,
    };
    assert_eq!(ending(&app, order).await, story);
    assert_ne!(app.stripe.session_status(&session).as_deref(), Some("open"));
}

#[rstest]
#[case::canceled_but_open("canceled", OPEN, true)]
#[case::canceled_but_paid("canceled", "succeeded", true)]
#[case::canceled_but_processing("canceled", "processing", true)]
#[case::as_it_says("canceled", "canceled", false)]
#[case::open_but_paid(OPEN, "succeeded", false)]
#[case::missing_but_open("missing", OPEN, false)]
#[tokio::test]
async fn a_final_status_that_was_wrong_is_alerted_and_an_old_one_is_not(
    #[case] here: &str,
    #[case] at_stripe: &str,
    #[case] is_wrong: bool,
) {
    let app = App::new().await;
    app.stale_order_with_intent(here, Some(at_stripe)).await;

    app.deliver(JOB).await;

    let alerts = "select count(*) from alerts where kind = 'payment_status_corrected'";
    assert_eq!(app.count(alerts).await, i64::from(is_wrong));
}

#[rstest]
#[case::five(5)]
#[case::six(6)]
#[case::a_hundred(100)]
#[tokio::test]
async fn many_wrong_rows_are_one_matter(#[case] wrong: i32) {
    let app = App::new().await;
    app.stale_orders(wrong, 1).await;
    app.open_intents_for_all().await;
    app.execute("update payment_intents set status = 'canceled'")
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.results()["orders_expired"], wrong, "{reply:?}");
    let expected = usize::try_from(if wrong > 5 { 1 } else { wrong }).unwrap();
    let alerts = app.open_alerts().await;
    assert_eq!(alerts.split(' ').count(), expected, "{alerts}");
}

#[tokio::test]
async fn a_final_status_of_our_own_sync_is_not_asked_about_again() {
    let app = App::new().await;
    let (order, _) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    // The intent is canceled and written, but the order cannot expire.
    app.execute("update stock_levels set reserved = 1").await;
    app.deliver(JOB).await;
    assert!(app.story(order).await.contains("intent canceled"));
    let calls = app.stripe.calls().len();
    app.execute("update stock_levels set reserved = 3").await;
    app.wait_no_longer().await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.results()["orders_expired"], 1, "{reply:?}");
    assert_eq!(app.stripe.calls().len(), calls);
}

#[rstest]
#[case::open_again(OPEN)]
#[case::succeeded("succeeded")]
#[tokio::test]
async fn a_status_that_the_shop_wrote_over_ours_counts_no_longer(#[case] written: &str) {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.execute("update stock_levels set reserved = 1").await;
    app.deliver(JOB).await;
    let calls = app.stripe.calls().len();
    app.execute("update stock_levels set reserved = 3").await;
    app.shop_writes(&intent, written).await;
    app.wait_no_longer().await;

    app.deliver(JOB).await;

    assert!(app.stripe.calls().len() > calls, "Stripe was not asked");
    assert_eq!(ending(&app, order).await, EXPIRED);
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
}

#[rstest]
#[case::paid_through_the_one_that_is_canceled_here("succeeded", "order_paid_unsettled")]
#[case::held_through_it("requires_capture", "order_paid_unsettled")]
#[case::processing_through_it("processing", "")]
#[tokio::test]
async fn money_under_an_intent_that_is_canceled_here_keeps_the_others_too(
    #[case] at_stripe: &str,
    #[case] alert: &str,
) {
    let app = App::new().await;
    let (order, open) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    app.intent(order, "canceled", Some(at_stripe)).await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "PENDING");
    assert_eq!(app.stripe.effective_cancels(&open), 0);
    assert!(app.open_alerts().await.contains(alert));
}

#[tokio::test]
async fn an_order_that_was_judged_to_expire_and_did_not_is_noted() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("canceled"))
        .await;
    let appears = async {
        app.intent(order, OPEN, Some(OPEN)).await;
    };

    super::races::run_and_meanwhile(&app, &intent, appears).await;

    assert_eq!(app.order_status(order).await, "PENDING");
    let noted = "select count(*) from order_expirations";
    assert_eq!(app.count(noted).await, 1);
    // What appeared is a change, so the order does not wait for its pause to end.
    app.deliver(JOB).await;
    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.count(noted).await, 0);
}
