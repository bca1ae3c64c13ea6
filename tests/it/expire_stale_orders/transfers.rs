//! Bank transfers that have come in for a part of the amount.

use rstest::rstest;

use crate::app::{App, JOB};
use crate::payments::OPEN;

/// An order whose intent has so much of 10.00 EUR, told in this status.
async fn partly_paid(app: &App, status: &str, transferred: i64) -> (uuid::Uuid, String) {
    let (order, intent) = app.stale_order_with_intent(status, None).await;
    app.partly_transferred(&intent, status, transferred);
    (order, intent)
}

#[rstest]
#[case::one_cent(1)]
#[case::some(400)]
#[case::all_but_one_cent(999)]
#[case::all_and_not_yet_settled(1000)]
#[case::too_much(1200)]
#[tokio::test]
async fn an_order_that_is_partly_paid_is_held_and_alerted(
    #[values("requires_action", "requires_payment_method", "requires_confirmation")] status: &str,
    #[case] transferred: i64,
) {
    let app = App::new().await;
    let (order, intent) = partly_paid(&app, status, transferred).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(
        app.story(order).await,
        format!(
            "PENDING; reserved 3, ACTIVE; intent {status}; partly_paid; alert order_partly_paid"
        )
    );
    assert_eq!(app.stripe.status(&intent).as_deref(), Some(status));
    assert_eq!(app.ends(), 0);
    app.assert_another_run_changes_nothing(JOB).await;
}

#[rstest]
#[case::a_transfer_that_was_not_begun("requires_action", Some(0))]
#[case::told_otherwise("requires_confirmation", Some(0))]
#[case::no_transfer("requires_action", None)]
#[tokio::test]
async fn an_order_for_which_nothing_has_come_in_expires(
    #[case] status: &str,
    #[case] transferred: Option<i64>,
) {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(status, Some(status)).await;
    if let Some(transferred) = transferred {
        app.partly_transferred(&intent, status, transferred);
    }

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
}

#[rstest]
#[tokio::test]
async fn the_other_intents_of_a_partly_paid_order_are_kept(
    #[values(OPEN, "requires_action", "canceled")] other: &str,
    #[values(true, false)] other_first: bool,
) {
    let app = App::new().await;
    let (order, _) = partly_paid(&app, "requires_action", 400).await;
    let other = app.intent(order, OPEN, Some(other)).await;
    app.execute(&format!(
        "update payment_intents set id = case stripe_payment_intent_id = '{other}'
             when {other_first} then '00000000-0000-0000-0000-000000000001'::uuid
             else '00000000-0000-0000-0000-000000000002'::uuid end"
    ))
    .await;

    app.deliver(JOB).await;

    assert_eq!(app.ends(), 0);
    let story = app.story(order).await;
    assert!(
        story.contains("partly_paid; alert order_partly_paid"),
        "{story}"
    );
}

#[rstest]
#[case::paid("succeeded", "paid")]
#[case::processing("processing", "processing")]
#[tokio::test]
async fn the_whole_sum_comes_before_a_part(#[case] status: &str, #[case] outcome: &str) {
    let app = App::new().await;
    let (order, _) = partly_paid(&app, "requires_action", 400).await;
    app.intent(order, OPEN, Some(status)).await;

    app.deliver(JOB).await;

    let story = app.story(order).await;
    // Either is money under way; what is there entirely decides.
    let is_held = story.contains(&format!("; {outcome}")) || story.contains("; partly_paid");
    assert!(is_held && story.starts_with("PENDING"), "{story}");
    assert_eq!(app.ends(), 0);
}

#[tokio::test]
async fn the_alert_is_one_and_ends_when_the_rest_has_come_and_the_shop_settles_it() {
    let app = App::new().await;
    let (order, intent) = partly_paid(&app, "requires_action", 400).await;
    app.deliver(JOB).await;
    app.wait_no_longer().await;
    app.deliver(JOB).await;
    assert_eq!(app.count("select count(*) from alerts").await, 1);
    app.stripe.set_status(&intent, "succeeded");
    app.wait_no_longer().await;
    app.deliver(JOB).await;
    let paid = app.story(order).await;

    app.execute("update orders set status = 'PAID'").await;
    app.deliver(JOB).await;

    assert!(paid.contains("intent succeeded; paid"), "{paid}");
    assert_eq!(app.open_alerts().await, "");
}

#[rstest]
#[case::is_sent_back(Some(0))]
#[case::is_given_up(None)]
#[tokio::test]
async fn an_order_whose_transfer_is_undone_expires(#[case] left: Option<i64>) {
    let app = App::new().await;
    let (order, intent) = partly_paid(&app, "requires_action", 400).await;
    app.deliver(JOB).await;
    match left {
        Some(left) => app.partly_transferred(&intent, "requires_action", left),
        None => assert!(app.stripe.set_status(&intent, "canceled")),
    }
    app.wait_no_longer().await;

    app.deliver(JOB).await;
    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.open_alerts().await, "");
}

#[tokio::test]
async fn a_dry_run_plans_to_hold_it() {
    let app = App::new().await;
    partly_paid(&app, "requires_action", 400).await;

    let dry = app.assert_a_dry_run_changes_nothing(JOB).await;
    let real = app.deliver(JOB).await;

    for count in ["orders_expired", "orders_paid", "orders_deferred"] {
        assert_eq!(dry.results()[count], real.results()[count], "{count}");
    }
}
