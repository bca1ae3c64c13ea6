//! Rows that name another intent or session than the one Stripe was asked about, or both.

use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Intent, Operation, Session};
use rstest::rstest;
use uuid::Uuid;

use super::races::run_and_meanwhile;
use crate::app::{App, JOB};
use crate::payments::OPEN;
use crate::processes::until;

const ANOTHER: &str = "update payment_intents set stripe_payment_intent_id = 'pi_new'";
const ANOTHER_AND_TOUCHED: &str =
    "update payment_intents set stripe_payment_intent_id = 'pi_new', updated_at = now()";
const WITH_A_SESSION: &str = "update payment_intents set checkout_session_id = 'cs_new'";

/// What the shop makes instead, which a customer can pay through.
fn make_new_ones(app: &App) {
    app.stripe.add(Intent::new("pi_new", OPEN));
    app.stripe.add_session(Session::new("cs_new", "open"));
}

/// Whether a customer can pay through what the row names.
async fn can_be_paid(app: &App) -> bool {
    let names = app
        .rows("select stripe_payment_intent_id as intent, checkout_session_id as session from payment_intents")
        .await;
    let row = &names[0];
    let session = row["session"].as_str();
    let session = session.and_then(|id| app.stripe.session_status(id));
    let intent = row["intent"].as_str().and_then(|id| app.stripe.status(id));
    session.as_deref() == Some("open") || intent.as_deref() != Some("canceled")
}

async fn assert_ends_with_what_it_names(app: &App, order: Uuid) {
    let after_one = app.order_status(order).await;
    assert!(
        after_one == "PENDING" || !can_be_paid(app).await,
        "{after_one}"
    );
    for _ in 0..2 {
        app.wait_no_longer().await;
        app.deliver(JOB).await;
    }
    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert!(!can_be_paid(app).await);
}

#[rstest]
#[tokio::test]
async fn the_cancel_of_an_intent_ends_no_order_whose_row_names_another_by_then(
    #[values(ANOTHER, ANOTHER_AND_TOUCHED, WITH_A_SESSION)] change: &str,
) {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    make_new_ones(&app);
    let late = Fault::HangAfterEffect(Duration::from_millis(600));
    app.stripe.fault(Operation::Cancel, &intent, late);
    let renamed = async {
        until("the cancel", async || app.ends() > 0).await;
        app.execute(change).await;
    };

    tokio::join!(app.deliver(JOB), renamed);

    assert_ends_with_what_it_names(&app, order).await;
}

#[rstest]
#[tokio::test]
async fn an_intent_found_canceled_ends_no_order_whose_row_names_another_by_then(
    #[values(ANOTHER, ANOTHER_AND_TOUCHED, WITH_A_SESSION)] change: &str,
) {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some("canceled")).await;
    make_new_ones(&app);

    run_and_meanwhile(&app, &intent, app.execute(change)).await;

    assert_ends_with_what_it_names(&app, order).await;
}

#[rstest]
#[tokio::test]
async fn an_intent_is_not_canceled_when_its_row_names_another_before(
    #[values(ANOTHER, WITH_A_SESSION)] change: &str,
) {
    let app = App::new().await;
    let (_, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    make_new_ones(&app);

    run_and_meanwhile(&app, &intent, app.execute(change)).await;

    assert_eq!(app.stripe.status(&intent).as_deref(), Some(OPEN));
}

#[rstest]
#[tokio::test]
async fn what_was_settled_counts_no_longer_when_the_row_names_another(
    #[values(ANOTHER, ANOTHER_AND_TOUCHED, WITH_A_SESSION)] change: &str,
) {
    let app = App::new().await;
    let (order, first) = app.stale_order_with_intent(OPEN, Some("canceled")).await;
    let second = app.intent(order, "processing", Some("processing")).await;
    app.deliver(JOB).await;
    make_new_ones(&app);
    app.execute(&format!(
        "{change} where stripe_payment_intent_id = '{first}'"
    ))
    .await;
    app.stripe.set_status(&second, "canceled");

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    let open = match change {
        WITH_A_SESSION => app.stripe.session_status("cs_new"),
        _ => app.stripe.status("pi_new"),
    };
    assert!(
        matches!(open.as_deref(), Some("canceled" | "expired")),
        "{open:?}"
    );
}

#[rstest]
#[case::open("open", None, "EXPIRED", "expired")]
#[case::open_with_another_intent("open", Some(OPEN), "EXPIRED", "expired")]
#[case::paid_through_another_intent("open", Some("succeeded"), "PENDING", "complete")]
#[case::held_through_another_intent("open", Some("requires_capture"), "PENDING", "complete")]
#[case::over("expired", None, "EXPIRED", "expired")]
#[tokio::test]
async fn a_session_can_be_paid_although_the_intent_beside_it_is_canceled(
    #[case] session: &str,
    #[case] another: Option<&str>,
    #[case] becomes: &str,
    #[case] session_becomes: &str,
) {
    let app = App::new().await;
    let (order, _) = app.stale_order_with_intent(OPEN, Some("canceled")).await;
    app.execute("update payment_intents set checkout_session_id = 'cs_1'")
        .await;
    app.stripe.add_session(Session::new("cs_1", session));
    if let Some(status) = another {
        app.customer_of("cs_1", status);
    }

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, becomes);
    let session = app.stripe.session_status("cs_1");
    assert_eq!(session.as_deref(), Some(session_becomes));
    app.assert_another_run_changes_nothing(JOB).await;
}

#[tokio::test]
async fn a_session_that_stripe_does_not_know_says_nothing_of_a_canceled_intent() {
    let app = App::new().await;
    let (order, _) = app.stale_order_with_intent(OPEN, Some("canceled")).await;
    app.execute("update payment_intents set checkout_session_id = 'cs_unknown'")
        .await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
}

#[tokio::test]
async fn a_session_whose_intent_a_webhook_writes_meanwhile_ends_its_order_and_is_noted_once() {
    let app = App::new().await;
    let order = app.stale_order().await;
    let session = app.session_row(Some(order), 0, Some("open")).await;
    let intent = app.customer_of(&session, OPEN);
    let late = Fault::HangAfterEffect(Duration::from_millis(600));
    app.stripe.fault(Operation::ExpireSession, &session, late);
    let webhook = async {
        until("the end", async || app.ends() > 0).await;
        app.execute(&format!(
            "update payment_intents set stripe_payment_intent_id = '{intent}', updated_at = now()"
        ))
        .await;
    };

    tokio::join!(app.deliver(JOB), webhook);
    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    let noted = "select count(*) from audit_events where event_type = 'local.payment.canceled'";
    assert_eq!(app.count(noted).await, 1);
}
