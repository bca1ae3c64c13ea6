//! Bank transfers that have come in for a part of the amount.

use rstest::rstest;

use super::{CLEANUP, OPEN};
use crate::app::App;

#[rstest]
#[tokio::test]
async fn an_intent_that_is_partly_paid_is_left_alone(
    #[values("no order", "overdue", "PAID")] order: &str,
    #[values("requires_action", "requires_confirmation")] status: &str,
    #[values(1, 999)] transferred: i64,
) {
    let app = App::new().await;
    let intent = app.intent_of(order, 8, OPEN, None).await;
    app.partly_transferred(&intent, status, transferred);

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.ends(), 0);
    assert_eq!(reply.results()["payment_intents_canceled"], 0);
    app.assert_another_run_changes_nothing(CLEANUP).await;
}

#[rstest]
#[case::expired("EXPIRED", "order_paid_after_end")]
#[case::canceled("CANCELED", "order_paid_after_end")]
#[case::refunded("REFUNDED", "")]
#[tokio::test]
async fn a_part_that_came_in_for_an_order_that_has_ended_is_kept_and_told_of(
    #[case] order: &str,
    #[case] alerts: &str,
) {
    let app = App::new().await;
    let intent = app.intent_of(order, 8, OPEN, None).await;
    app.partly_transferred(&intent, "requires_action", 400);

    app.deliver(CLEANUP).await;

    assert_eq!(app.ends(), 0);
    assert_eq!(app.open_alerts().await, alerts);
}

#[tokio::test]
async fn an_intent_whose_transfer_was_not_begun_is_canceled() {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, "requires_action", None).await;
    app.partly_transferred(&intent, "requires_action", 0);

    app.deliver(CLEANUP).await;

    assert_eq!(app.stripe.effective_cancels(&intent), 1);
}

#[tokio::test]
async fn a_dry_run_plans_to_leave_it_alone() {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, OPEN, None).await;
    app.partly_transferred(&intent, "requires_action", 400);

    let dry = app.assert_a_dry_run_changes_nothing(CLEANUP).await;

    assert_eq!(dry.results()["payment_intents_canceled"], 0, "{dry:?}");
}
