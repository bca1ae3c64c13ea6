//! Orders that Stripe's answer holds, alone or beside open intents.

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use rstest::rstest;
use uuid::Uuid;

use crate::app::{App, Delivery, JOB};
use crate::payments::OPEN;

/// An open intent, and one beside it whose row comes before or after in the job's order.
async fn beside(app: &App, other: Option<&str>, other_first: bool) -> (Uuid, String, String) {
    let (order, open) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    let other = app.intent(order, OPEN, other).await;
    app.execute(&format!(
        "update payment_intents set id = case stripe_payment_intent_id = '{other}'
             when {other_first} then '00000000-0000-0000-0000-000000000001'::uuid
             else '00000000-0000-0000-0000-000000000002'::uuid end"
    ))
    .await;
    (order, open, other)
}

#[rstest]
#[case::unknown_to_stripe(None, None, "missing", "payment_intent_missing")]
#[case::refused(Some(OPEN), Some(Fault::status(400)), "error", "order_expiry_stuck")]
#[case::refused_for_good(Some(OPEN), Some(Fault::status(402)), "error", "order_expiry_stuck")]
#[case::in_a_status_made_up_since(Some("requires_patience"), None, "error", "order_expiry_stuck")]
#[tokio::test]
async fn an_intent_that_cannot_be_judged_beside_an_open_one_holds_its_order_and_is_alerted(
    #[case] other: Option<&str>,
    #[case] fault: Option<Fault>,
    #[case] outcome: &str,
    #[case] alert: &str,
    #[values(true, false)] other_first: bool,
) {
    let app = App::new().await;
    let (order, open, id) = beside(&app, other, other_first).await;
    for _ in 0..4 {
        if let Some(fault) = &fault {
            app.stripe.fault(Operation::Retrieve, &id, fault.clone());
        }
    }
    // Another order does well, so that nothing is wrong with the key.
    app.stale_order_with_intent(OPEN, Some(OPEN)).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 1, "{reply:?}");
    let story = app.story(order).await;
    assert!(story.starts_with("PENDING; reserved 3, ACTIVE"), "{story}");
    assert!(
        story.contains(&format!("; {outcome}; alert {alert}")),
        "{story}"
    );
    assert_eq!(app.stripe.effective_cancels(&open), 0);
    assert_eq!(reply.results()["errors"][0]["order_id"], order.to_string());
    app.assert_another_run_changes_nothing(JOB).await;
}

#[rstest]
#[case::paid("succeeded", "paid")]
#[case::held("requires_capture", "authorized")]
#[case::processing("processing", "processing")]
#[tokio::test]
async fn money_comes_before_an_intent_that_is_unknown(
    #[case] status: &str,
    #[case] outcome: &str,
    #[values(true, false)] other_first: bool,
) {
    let app = App::new().await;
    let (order, known, _) = beside(&app, None, other_first).await;
    app.stripe.set_status(&known, status);

    app.deliver(JOB).await;

    let story = app.story(order).await;
    assert!(story.contains(&format!("; {outcome}")), "{story}");
    assert_eq!(app.ends(), 0);
}

#[tokio::test]
async fn an_order_whose_every_intent_is_denied_starves_no_other() {
    let app = App::new().await;
    let orders = app.stale_orders(2, 1).await;
    for _ in 0..7 {
        let intent = app.intent(orders[1], OPEN, Some(OPEN)).await;
        for _ in 0..9 {
            app.stripe
                .fault(Operation::Retrieve, &intent, Fault::status(403));
        }
    }
    let (good, _) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    app.execute(&format!(
        "update orders set expires_at = now() - interval '1 day' where id = '{}'",
        orders[1]
    ))
    .await;

    for _ in 0..2 {
        Delivery::of(JOB)
            .body(r#"{"batch_size": 1}"#)
            .to(&app)
            .await;
    }

    assert_eq!(app.order_status(good).await, "EXPIRED");
    assert_eq!(app.order_status(orders[1]).await, "PENDING");
}

#[tokio::test]
async fn the_proof_of_the_key_takes_no_longer_than_any_other_call() {
    let app = App::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    app.stale_order_with_intent(OPEN, None).await;
    let (_, slow) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    app.execute("update orders set expires_at = now() - interval '1 minute'")
        .await;
    for _ in 0..9 {
        let hang = Fault::Hang(std::time::Duration::from_secs(9));
        app.stripe.fault(Operation::Retrieve, &slow, hang);
    }
    let began = std::time::Instant::now();

    app.deliver(JOB).await;

    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(7), "{took:?}");
}
