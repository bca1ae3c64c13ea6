//! Every answer of Stripe's, and what becomes of the rows.

use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use rstest::rstest;

use crate::app::{App, JOB};

const EXPIRED: &str = "EXPIRED; reserved 0, RELEASED; intent canceled; \
                       events local.order.expired local.payment.canceled";

#[rstest]
#[case::requires_payment_method("requires_payment_method", EXPIRED)]
#[case::requires_confirmation("requires_confirmation", EXPIRED)]
#[case::requires_action("requires_action", EXPIRED)]
#[case::canceled("canceled", EXPIRED)]
#[case::succeeded(
    "succeeded",
    "PENDING; reserved 3, ACTIVE; intent succeeded; paid; alert order_paid_unsettled; \
     events local.order.paid_at_expiry"
)]
#[case::requires_capture(
    "requires_capture",
    "PENDING; reserved 3, ACTIVE; intent requires_capture; authorized; \
     alert order_paid_unsettled; events local.order.paid_at_expiry"
)]
#[case::processing(
    "processing",
    "PENDING; reserved 3, ACTIVE; intent processing; processing"
)]
#[case::a_status_made_up_since(
    "requires_patience",
    "PENDING; reserved 3, ACTIVE; intent requires_payment_method; error; \
     alert order_expiry_stuck"
)]
#[tokio::test]
async fn the_status_at_stripe_decides(#[case] at_stripe: &str, #[case] story: &str) {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_payment_method", Some(at_stripe))
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.story(order).await, story);
    let is_open = at_stripe.starts_with("requires_p") && at_stripe.ends_with("method")
        || ["requires_confirmation", "requires_action"].contains(&at_stripe);
    assert_eq!(app.stripe.effective_cancels(&intent), usize::from(is_open));
}

fn status(status: u16) -> Fault {
    Fault::status(status)
}

const DEFERRED: &str = "PENDING; reserved 3, ACTIVE; intent requires_action; deferred";
const ERROR: &str =
    "PENDING; reserved 3, ACTIVE; intent requires_action; error; alert order_expiry_stuck";
const DENIED: &str = "PENDING; reserved 3, ACTIVE; intent requires_action; error";
const MISSING: &str =
    "PENDING; reserved 3, ACTIVE; intent missing; missing; alert payment_intent_missing";

#[rstest]
#[case::bad_request(status(400), ERROR)]
#[case::unauthorized(status(401), DENIED)]
#[case::card_error(status(402), ERROR)]
#[case::forbidden(status(403), DENIED)]
#[case::missing(status(404), MISSING)]
#[case::conflict(status(409), DEFERRED)]
#[case::failed_dependency(status(424), DEFERRED)]
#[case::rate_limit(status(429), DEFERRED)]
#[case::lock_timeout(Fault::LockTimeout, DEFERRED)]
#[case::server_error(status(500), DEFERRED)]
#[case::bad_gateway(status(502), DEFERRED)]
#[case::unavailable(status(503), DEFERRED)]
#[case::no_json(Fault::GarbledBody, DEFERRED)]
#[case::no_answer(Fault::Disconnect, DEFERRED)]
#[case::no_code(Fault::status(400), ERROR)]
#[tokio::test]
async fn an_error_when_asked_never_expires_the_order(#[case] fault: Fault, #[case] story: &str) {
    // Nothing was answered but this: a denial is of the key, and silence of the way to Stripe.
    let outcome = match (story, &fault) {
        (DENIED, _) => (500, "failed"),
        (_, Fault::Disconnect) => (503, "failed"),
        _ => (200, "succeeded"),
    };
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.stripe.always(Operation::Retrieve, fault);

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), outcome, "{reply:?}");
    assert_eq!(app.story(order).await, story);
    assert_eq!(app.stripe.effective_cancels(&intent), 0);
}

#[rstest]
#[case::bad_request(status(400), ERROR)]
#[case::unauthorized(status(401), DENIED)]
#[case::card_error(status(402), ERROR)]
#[case::forbidden(status(403), DENIED)]
#[case::missing(status(404), MISSING)]
#[case::conflict(status(409), DEFERRED)]
#[case::failed_dependency(status(424), DEFERRED)]
#[case::rate_limit(status(429), DEFERRED)]
#[case::lock_timeout(Fault::LockTimeout, DEFERRED)]
#[case::server_error(status(500), DEFERRED)]
#[case::unavailable(status(503), DEFERRED)]
#[case::no_json(Fault::GarbledBody, DEFERRED)]
#[case::no_answer(Fault::Disconnect, DEFERRED)]
#[case::no_code_and_still_open(Fault::status(400), ERROR)]
#[case::paid_while_the_cancel_was_in_flight(
    Fault::Becomes("succeeded"),
    "PENDING; reserved 3, ACTIVE; intent succeeded; paid; alert order_paid_unsettled; \
     events local.order.paid_at_expiry"
)]
#[case::processing_while_the_cancel_was_in_flight(
    Fault::Becomes("processing"),
    "PENDING; reserved 3, ACTIVE; intent processing; processing"
)]
#[case::done_but_the_answer_was_lost(Fault::DisconnectAfterEffect, EXPIRED)]
#[tokio::test]
async fn an_answer_to_the_cancel_decides(#[case] fault: Fault, #[case] story: &str) {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.stripe.always(Operation::Cancel, fault);

    let reply = app.deliver(JOB).await;

    let outcome = match story {
        DENIED => (500, "failed"),
        _ => (200, "succeeded"),
    };
    assert_eq!(reply.outcome(), outcome, "{reply:?}");
    assert_eq!(app.story(order).await, story);
    assert_eq!(
        app.stripe.effective_cancels(&intent),
        usize::from(story == EXPIRED)
    );
}

#[tokio::test]
async fn a_cancel_done_within_a_hang_is_found_canceled_when_asked_again() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    // Longer than we wait; the same key then gets the stored answer.
    app.stripe.fault(
        Operation::Cancel,
        &intent,
        Fault::HangAfterEffect(Duration::from_secs(11)),
    );

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.story(order).await, EXPIRED);
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
}

#[tokio::test]
async fn an_intent_of_a_checkout_session_is_ended_with_its_session() {
    let app = App::new().await;
    let order = app.stale_order().await;
    let intent = app.intent(order, "requires_payment_method", None).await;
    app.stripe.add(jarvis_cron::demo::stripe_double::Intent {
        checkout_session_id: Some("cs_1".to_owned()),
        ..jarvis_cron::demo::stripe_double::Intent::new(&intent, "requires_payment_method")
    });
    app.execute("update payment_intents set checkout_session_id = 'cs_1'")
        .await;

    app.deliver(JOB).await;

    assert_eq!(app.story(order).await, EXPIRED);
    assert_eq!(
        app.stripe.session_status("cs_1").as_deref(),
        Some("expired")
    );
}

#[rstest]
#[case::one_is_paid("succeeded", "paid")]
#[case::one_is_held("requires_capture", "authorized")]
#[case::one_is_processing("processing", "processing")]
#[tokio::test]
async fn an_order_paid_through_one_intent_is_not_touched_through_another(
    #[case] other: &str,
    #[case] outcome: &str,
) {
    let app = App::new().await;
    let (order, open) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.intent(order, "requires_action", Some(other)).await;

    app.deliver(JOB).await;

    assert_eq!(app.stripe.effective_cancels(&open), 0);
    assert_eq!(app.order_status(order).await, "PENDING");
    let noted = app.rows("select last_outcome from order_expirations").await;
    assert_eq!(noted, serde_json::json!([{ "last_outcome": outcome }]));
}

#[rstest]
#[case::a_status(Fault::Hang(Duration::ZERO), true)]
#[case::a_refusal(status(400), true)]
#[case::unknown(status(404), true)]
#[case::no_right(status(403), false)]
#[case::a_rate_limit(status(429), false)]
#[case::an_error(status(500), false)]
#[case::no_answer(Fault::Disconnect, false)]
#[tokio::test]
async fn an_intent_counts_as_synced_only_when_stripe_said_something_of_it(
    #[case] fault: Fault,
    #[case] synced: bool,
) {
    let app = App::new().await;
    app.stale_order_with_intent("processing", Some("processing"))
        .await;
    app.stripe.always(Operation::Retrieve, fault);

    app.deliver(JOB).await;

    let row = app
        .rows("select last_synced_at is not null as synced from payment_intents")
        .await;
    assert_eq!(row, serde_json::json!([{ "synced": synced }]));
}

#[tokio::test]
async fn a_refusal_that_says_the_intent_is_still_open_is_heard_of() {
    let app = App::new().await;
    let order = app.stale_order().await;
    let intent = app.intent(order, "requires_action", None).await;
    // A session owns it, which we do not know of.
    app.stripe.add(jarvis_cron::demo::stripe_double::Intent {
        checkout_session_id: Some("cs_1".to_owned()),
        ..jarvis_cron::demo::stripe_double::Intent::new(&intent, "requires_action")
    });

    app.deliver(JOB).await;

    assert_eq!(app.story(order).await, ERROR);
    // Read once and canceled once: the refusal says how it stands.
    assert_eq!(app.stripe.calls().len(), 2);
}

#[rstest]
#[case::that_are_open("requires_payment_method")]
#[case::of_which_one_is_found_canceled("canceled")]
#[tokio::test]
async fn an_order_with_two_intents_expires_in_one_run(#[case] other: &str) {
    let app = App::new().await;
    let (order, _) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.intent(order, "requires_action", Some(other)).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED", "{reply:?}");
    assert_eq!(reply.results()["payment_intents_canceled"], 2);
}
