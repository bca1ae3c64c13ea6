//! Checkout sessions, which have no intent before their customer pays.

use jarvis_cron::demo::stripe_double::{Fault, Operation, Session};
use rstest::rstest;
use uuid::Uuid;

use crate::app::{App, JOB};
use crate::payments::OPEN;

/// An overdue order with a session, and the session's id.
async fn order_with_session(app: &App, at_stripe: Option<&str>) -> (Uuid, String) {
    let order = app.stale_order().await;
    let session = app.session_row(Some(order), 0, at_stripe).await;
    (order, session)
}

#[tokio::test]
async fn a_session_without_an_intent_expires_before_its_order() {
    let app = App::new().await;
    let (order, session) = order_with_session(&app, Some("open")).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(
        app.stripe.session_status(&session).as_deref(),
        Some("expired")
    );
    let story = app.story(order).await;
    assert!(
        story.starts_with("EXPIRED; reserved 0, RELEASED; intent canceled"),
        "{story}"
    );
    app.assert_another_run_changes_nothing(JOB).await;
}

#[rstest]
#[case::waiting_for_the_customer(OPEN, "EXPIRED; reserved 0, RELEASED; intent canceled")]
#[case::waiting_for_a_bank("requires_action", "EXPIRED; reserved 0, RELEASED; intent canceled")]
#[case::processing(
    "processing",
    "PENDING; reserved 3, ACTIVE; intent processing; processing"
)]
#[case::held(
    "requires_capture",
    "PENDING; reserved 3, ACTIVE; intent requires_capture; authorized; alert order_paid_unsettled"
)]
#[case::paid(
    "succeeded",
    "PENDING; reserved 3, ACTIVE; intent succeeded; paid; alert order_paid_unsettled"
)]
#[case::given_up("canceled", "EXPIRED; reserved 0, RELEASED; intent canceled")]
#[tokio::test]
async fn the_intent_that_a_session_got_since_decides(#[case] status: &str, #[case] story: &str) {
    let app = App::new().await;
    let (order, session) = order_with_session(&app, Some("open")).await;
    app.customer_of(&session, status);

    app.deliver(JOB).await;

    let told = app.story(order).await;
    assert!(told.starts_with(story), "{told}");
    let is_open = app.stripe.session_status(&session).as_deref() == Some("open");
    assert!(!is_open, "it can still be paid");
    app.assert_another_run_changes_nothing(JOB).await;
}

#[tokio::test]
async fn a_session_that_ended_by_itself_keeps_no_order() {
    let app = App::new().await;
    let (order, _) = order_with_session(&app, Some("expired")).await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.ends(), 0);
}

#[tokio::test]
async fn a_session_that_cost_nothing_holds_its_order() {
    let app = App::new().await;
    // Complete without an intent: a voucher paid it all.
    let (order, _) = order_with_session(&app, Some("complete")).await;

    app.deliver(JOB).await;

    let story = app.story(order).await;
    assert!(story.starts_with("PENDING; reserved 3, ACTIVE"), "{story}");
    assert!(story.contains("alert"), "{story}");
}

#[rstest]
#[case::paid("succeeded", "paid")]
#[case::held("requires_capture", "authorized")]
#[case::processing("processing", "processing")]
#[tokio::test]
async fn a_customer_who_pays_while_the_session_is_being_expired_keeps_the_order(
    #[case] becomes: &'static str,
    #[case] outcome: &str,
    #[values(Operation::RetrieveSession, Operation::ExpireSession)] during: Operation,
) {
    let app = App::new().await;
    let (order, session) = order_with_session(&app, Some("open")).await;
    app.stripe.fault(during, &session, Fault::Becomes(becomes));

    app.deliver(JOB).await;

    let story = app.story(order).await;
    assert!(
        story.starts_with(&format!(
            "PENDING; reserved 3, ACTIVE; intent {becomes}; {outcome}"
        )),
        "{story}"
    );
    assert_eq!(
        app.stripe.session_status(&session).as_deref(),
        Some("complete")
    );
}

#[tokio::test]
async fn a_customer_who_begins_while_the_session_is_being_expired_is_ended_with_it() {
    let app = App::new().await;
    let (order, session) = order_with_session(&app, Some("open")).await;
    let begins = Fault::Becomes("requires_action");
    app.stripe.fault(Operation::ExpireSession, &session, begins);

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    let intent = session.replacen("cs_", "pi_", 1);
    assert_eq!(app.stripe.status(&intent).as_deref(), Some("canceled"));
}

#[rstest]
#[case::unknown(Fault::status(404), "missing")]
#[case::of_the_other_mode(Fault::OtherMode, "error")]
#[case::refused(Fault::status(400), "error")]
#[case::denied(Fault::status(403), "error")]
#[case::a_rate_limit(Fault::status(429), "deferred")]
#[case::an_error(Fault::status(500), "deferred")]
#[case::no_json(Fault::GarbledBody, "deferred")]
#[case::no_answer(Fault::Disconnect, "deferred")]
#[tokio::test]
async fn a_session_without_an_answer_holds_its_order(
    #[case] fault: Fault,
    #[case] outcome: &str,
    #[values(Operation::RetrieveSession, Operation::ExpireSession)] operation: Operation,
) {
    let app = App::new().await;
    let (order, session) = order_with_session(&app, Some("open")).await;
    // Another order does well, so that nothing is wrong with the key.
    app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    app.stripe.always(operation, fault);

    app.deliver(JOB).await;

    let story = app.story(order).await;
    assert!(story.starts_with("PENDING; reserved 3, ACTIVE"), "{story}");
    if operation == Operation::RetrieveSession {
        assert!(story.contains(&format!("; {outcome}")), "{story}");
    }
    assert!(!story.contains("intent canceled"), "{story}");
    app.stripe.clear_faults();
    app.wait_no_longer().await;
    app.deliver(JOB).await;
    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(
        app.stripe.session_status(&session).as_deref(),
        Some("expired")
    );
}

#[tokio::test]
async fn a_session_expired_although_its_answer_was_lost_ends_its_order() {
    let app = App::new().await;
    let (order, session) = order_with_session(&app, Some("open")).await;
    let lost = Fault::DisconnectAfterEffect;
    app.stripe.always(Operation::ExpireSession, lost);

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(
        app.stripe.session_status(&session).as_deref(),
        Some("expired")
    );
}

#[rstest]
#[case::more_time("update orders set expires_at = now() + interval '1 hour'")]
#[case::paid("update orders set status = 'PAID'")]
#[case::of_no_order("update payment_intents set order_id = null")]
#[tokio::test]
async fn a_change_of_the_shops_before_the_session_is_expired_keeps_it(#[case] change: &str) {
    let app = App::new().await;
    let (_, session) = order_with_session(&app, Some("open")).await;
    let thinking = Fault::Hang(std::time::Duration::from_millis(600));
    app.stripe
        .fault(Operation::RetrieveSession, &session, thinking);
    let asked = async {
        let is_asked = async || !app.stripe.calls().is_empty();
        crate::processes::until("Stripe is asked", is_asked).await;
        app.execute(change).await;
    };

    let (reply, ()) = tokio::join!(app.deliver(JOB), asked);

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.stripe.session_status(&session).as_deref(), Some("open"));
}

#[rstest]
#[case::paid("succeeded")]
#[case::processing("processing")]
#[tokio::test]
async fn a_session_beside_money_is_kept(#[case] status: &str) {
    let app = App::new().await;
    let (order, session) = order_with_session(&app, Some("open")).await;
    app.intent(order, OPEN, Some(status)).await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "PENDING");
    assert_eq!(app.stripe.session_status(&session).as_deref(), Some("open"));
}

#[tokio::test]
async fn three_sessions_of_one_order_end_together() {
    let app = App::new().await;
    let (order, first) = order_with_session(&app, Some("open")).await;
    let second = app.session_row(Some(order), 0, Some("open")).await;
    let third = app.session_row(Some(order), 0, Some("expired")).await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    for session in [first, second, third] {
        let status = app.stripe.session_status(&session);
        assert_eq!(status.as_deref(), Some("expired"));
    }
}

#[tokio::test]
async fn a_dry_run_plans_the_end_of_a_session_and_leaves_it_open() {
    let app = App::new().await;
    let (_, session) = order_with_session(&app, Some("open")).await;

    let dry = app.assert_a_dry_run_changes_nothing(JOB).await;

    assert_eq!(dry.results()["orders_expired"], 1, "{dry:?}");
    assert_eq!(app.stripe.session_status(&session).as_deref(), Some("open"));
}

#[tokio::test]
async fn an_answer_about_another_session_is_none() {
    let app = App::new().await;
    let (order, session) = order_with_session(&app, Some("open")).await;
    app.stripe.add_session(Session::new("cs_other", "expired"));
    let other = Fault::About("cs_other".to_owned());
    app.stripe.always(Operation::RetrieveSession, other);

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "PENDING");
    assert_eq!(app.stripe.session_status(&session).as_deref(), Some("open"));
}

#[tokio::test]
async fn a_row_must_name_an_intent_or_a_session() {
    let app = App::new().await;

    let refused = sqlx::query("insert into payment_intents (amount) values (1000)")
        .execute(&app.db)
        .await;

    assert!(refused.is_err());
}
