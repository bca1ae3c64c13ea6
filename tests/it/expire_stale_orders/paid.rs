//! Orders that Stripe calls paid, and what is told of their money.

use rstest::rstest;
use serde_json::json;

use crate::app::{App, JOB};
use crate::payments::OPEN;

#[rstest]
#[case::paid_and_canceled("succeeded", "CANCELED", "order_paid_after_end")]
#[case::paid_and_refunded("succeeded", "REFUNDED", "")]
#[case::an_authorisation_given_back("requires_capture", "CANCELED", "")]
#[tokio::test]
async fn money_that_is_still_there_when_the_shop_ends_its_order_is_told_of(
    #[case] at_stripe: &str,
    #[case] ended: &str,
    #[case] alert: &str,
) {
    let app = App::new().await;
    app.stale_order_with_intent(OPEN, Some(at_stripe)).await;
    app.deliver(JOB).await;
    app.execute(&format!("update orders set status = '{ended}'"))
        .await;

    app.deliver(JOB).await;

    assert_eq!(app.open_alerts().await, alert);
    app.assert_another_run_changes_nothing(JOB).await;
}

#[tokio::test]
async fn a_paid_order_is_said_once_and_its_alert_ends_when_the_shop_settles_it() {
    let app = App::new().await;
    let (order, _) = app
        .stale_order_with_intent("requires_action", Some("succeeded"))
        .await;
    let first = app.deliver(JOB).await;
    app.execute("update order_expirations set next_attempt_at = now()")
        .await;

    let again = app.deliver(JOB).await;

    assert_eq!(first.results()["alerts_opened"], 1);
    assert_eq!(again.results()["orders_paid"], 1);
    assert_eq!(again.results()["alerts_opened"], 0);
    assert_eq!(app.count("select count(*) from audit_events").await, 1);
    let alert = app.rows("select status, occurrences from alerts").await;
    assert_eq!(alert, json!([{ "status": "open", "occurrences": 2 }]));

    app.execute("update orders set status = 'PAID'").await;
    app.deliver(JOB).await;

    insta::assert_snapshot!(app.story(order).await, @"PAID; reserved 3, ACTIVE; intent succeeded; events local.order.paid_at_expiry");
    let alert = app.rows("select status, resolved_by from alerts").await;
    assert_eq!(
        alert,
        json!([{ "status": "resolved", "resolved_by": "system" }])
    );
}
