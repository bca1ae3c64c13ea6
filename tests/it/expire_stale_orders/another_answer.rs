//! Answers about another intent than the one that was asked about.

use jarvis_cron::demo::stripe_double::{Fault, Intent, Operation};
use rstest::rstest;

use crate::app::{App, JOB};
use crate::payments::OPEN;

/// Another intent of this status, which answers in place of every one.
fn mixed_up(app: &App, operation: Operation, status: &str) {
    app.stripe.add(Intent::new("pi_other", status));
    app.stripe
        .always(operation, Fault::About("pi_other".to_owned()));
}

#[rstest]
#[tokio::test]
async fn an_answer_about_another_intent_is_none(
    #[values(Operation::Retrieve, Operation::Cancel)] operation: Operation,
    #[values(
        "canceled",
        "succeeded",
        "processing",
        "requires_capture",
        "requires_action"
    )]
    other: &str,
    #[values(false, true)] is_dry: bool,
) {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    mixed_up(&app, operation, other);

    let reply = app.operate(JOB, &format!("dry_run={is_dry}")).await;

    assert!(!reply.contradicts_itself(), "{reply:?}");
    let story = app.story(order).await;
    assert!(
        story.starts_with(&format!("PENDING; reserved 3, ACTIVE; intent {OPEN}")),
        "{story}"
    );
    assert!(!story.contains("events"), "{story}");
    assert_eq!(app.stripe.effective_cancels(&intent), 0);
    assert_eq!(app.stripe.effective_cancels("pi_other"), 0);
    assert_eq!(reply.results()["orders_paid"], 0);
    // A dry run only asks, and so plans the cancel that would meet this answer.
    let planned = is_dry && operation == Operation::Cancel;
    assert_eq!(
        reply.results()["payment_intents_canceled"],
        usize::from(planned)
    );
}

#[tokio::test]
async fn the_right_answer_ends_the_order_later() {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    mixed_up(&app, Operation::Retrieve, "canceled");
    app.deliver(JOB).await;
    let noted = "select count(*) from order_expirations";
    assert_eq!(app.count(noted).await, 1);
    app.stripe.clear_faults();
    app.wait_no_longer().await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
}

#[tokio::test]
async fn a_cancel_answered_with_another_is_followed_by_the_question_how_it_stands() {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    // Canceled at last, but the first answer is about another.
    app.stripe.add(Intent::new("pi_other", "canceled"));
    app.stripe.fault(
        Operation::Cancel,
        &intent,
        Fault::About("pi_other".to_owned()),
    );
    app.deliver(JOB).await;
    assert_eq!(app.order_status(order).await, "PENDING");
    app.wait_no_longer().await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
}

#[tokio::test]
async fn an_answer_for_the_neighbour_of_a_batch_is_none_either() {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    let (neighbour, canceled) = app.stale_order_with_intent(OPEN, Some("canceled")).await;
    app.stripe
        .fault(Operation::Retrieve, &intent, Fault::About(canceled));

    app.deliver(JOB).await;

    assert_eq!(app.order_status(neighbour).await, "EXPIRED");
    assert_eq!(app.order_status(order).await, "PENDING");
    assert_eq!(app.stripe.status(&intent).as_deref(), Some(OPEN));
}
