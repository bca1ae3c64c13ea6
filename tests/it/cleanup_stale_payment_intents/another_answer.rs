//! Answers about another intent than the one that was asked about.

use jarvis_cron::demo::stripe_double::{Fault, Intent, Operation};
use rstest::rstest;
use serde_json::json;

use super::{CLEANUP, OPEN};
use crate::app::App;

#[rstest]
#[tokio::test]
async fn an_answer_about_another_intent_is_none(
    #[values(Operation::Retrieve, Operation::Cancel)] operation: Operation,
    #[values("canceled", "succeeded", "processing", "requires_capture")] other: &str,
) {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
    app.stripe.add(Intent::new("pi_other", other));
    app.stripe
        .always(operation, Fault::About("pi_other".to_owned()));

    let reply = app.deliver(CLEANUP).await;

    assert!(!reply.contradicts_itself(), "{reply:?}");
    let here = app.rows("select status from payment_intents").await;
    assert_eq!(here, json!([{ "status": OPEN }]));
    assert_eq!(app.stripe.effective_cancels(&intent), 0);
    assert_eq!(app.stripe.effective_cancels("pi_other"), 0);
    assert_eq!(reply.results()["payment_intents_canceled"], 0);
    assert_eq!(reply.results()["payments_updated"], 0);
    assert_eq!(app.count("select count(*) from audit_events").await, 0);
}
