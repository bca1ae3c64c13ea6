//! Checkout sessions, which have no intent before their customer pays.

use jarvis_cron::demo::stripe_double::{Fault, Operation, Session};
use rstest::rstest;
use serde_json::json;

use super::{CLEANUP, OPEN};
use crate::app::App;

const STATUS: &str = "select status from payment_intents";

#[tokio::test]
async fn a_session_that_was_let_lie_is_expired() {
    let app = App::new().await;
    let session = app.session_row(None, 8, Some("open")).await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["payment_intents_canceled"], 1, "{reply:?}");
    let at_stripe = app.stripe.session_status(&session);
    assert_eq!(at_stripe.as_deref(), Some("expired"));
    assert_eq!(app.rows(STATUS).await, json!([{ "status": "canceled" }]));
    app.assert_another_run_changes_nothing(CLEANUP).await;
}

#[rstest]
#[case::young(6)]
#[case::just_made(0)]
#[tokio::test]
async fn a_young_session_is_left_to_its_customer(#[case] days: i32) {
    let app = App::new().await;
    let session = app.session_row(None, days, Some("open")).await;

    app.deliver(CLEANUP).await;

    assert!(app.stripe.calls().is_empty());
    assert_eq!(app.stripe.session_status(&session).as_deref(), Some("open"));
}

#[tokio::test]
async fn a_session_of_an_order_in_time_is_not_even_asked_about() {
    let app = App::new().await;
    let order = app.stale_order().await;
    app.execute("update orders set expires_at = now() + interval '1 minute'")
        .await;
    app.session_row(Some(order), 400, Some("open")).await;

    app.deliver(CLEANUP).await;

    assert!(app.stripe.calls().is_empty());
}

#[rstest]
#[case::waiting_for_the_customer(OPEN, "canceled")]
#[case::processing("processing", "processing")]
#[case::held("requires_capture", "requires_capture")]
#[case::paid("succeeded", "succeeded")]
#[case::given_up("canceled", "canceled")]
#[tokio::test]
async fn the_intent_that_a_session_got_since_decides(#[case] status: &str, #[case] here: &str) {
    let app = App::new().await;
    let session = app.session_row(None, 8, Some("open")).await;
    app.customer_of(&session, status);

    app.deliver(CLEANUP).await;

    assert_eq!(app.rows(STATUS).await, json!([{ "status": here }]));
    app.assert_another_run_changes_nothing(CLEANUP).await;
}

#[rstest]
#[case::that_ended_by_itself("expired", "canceled")]
#[tokio::test]
async fn a_session_is_written_as_stripe_has_it(#[case] at_stripe: &str, #[case] here: &str) {
    let app = App::new().await;
    app.session_row(None, 8, Some(at_stripe)).await;

    app.deliver(CLEANUP).await;

    assert_eq!(app.rows(STATUS).await, json!([{ "status": here }]));
    assert_eq!(app.ends(), 0);
}

#[rstest]
#[case::paid("succeeded")]
#[case::processing("processing")]
#[tokio::test]
async fn a_customer_who_pays_while_the_session_is_being_expired_is_heard_of(
    #[case] becomes: &'static str,
) {
    let app = App::new().await;
    let session = app.session_row(None, 8, Some("open")).await;
    app.stripe
        .fault(Operation::ExpireSession, &session, Fault::Becomes(becomes));

    app.deliver(CLEANUP).await;

    assert_eq!(app.rows(STATUS).await, json!([{ "status": becomes }]));
}

#[tokio::test]
async fn an_answer_about_another_session_is_none() {
    let app = App::new().await;
    let session = app.session_row(None, 8, Some("open")).await;
    app.stripe.add_session(Session::new("cs_other", "expired"));
    let other = Fault::About("cs_other".to_owned());
    app.stripe.always(Operation::RetrieveSession, other);

    app.deliver(CLEANUP).await;

    assert_eq!(app.rows(STATUS).await, json!([{ "status": OPEN }]));
    assert_eq!(app.stripe.session_status(&session).as_deref(), Some("open"));
}
