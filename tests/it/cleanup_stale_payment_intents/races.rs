//! What happens between the pick, Stripe's answer, the cancel and our commit.

use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use serde_json::json;

use super::{CLEANUP, OPEN};
use crate::app::{App, Delivery, JOB, Reply};

/// Runs the job; while Stripe thinks about this call, `meanwhile` happens.
pub(super) async fn run_and_meanwhile(
    app: &App,
    operation: Operation,
    intent: &str,
    meanwhile: impl Future<Output = ()>,
) -> Reply {
    let thinking = Fault::Hang(Duration::from_millis(600));
    app.stripe.fault(operation, intent, thinking);
    let was_called = || {
        let calls = app.stripe.calls();
        calls.iter().any(|call| call.operation == Some(operation))
    };
    let asked = async {
        while !was_called() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        meanwhile.await;
    };
    let (reply, ()) = tokio::join!(app.deliver(CLEANUP), asked);
    reply
}

#[rstest::rstest]
#[case::given_more_time("update orders set expires_at = now() + interval '1 hour'")]
#[case::opened_again("update orders set status = 'PENDING', expires_at = null")]
#[case::settled_by_a_webhook("update payment_intents set status = 'succeeded'")]
#[case::of_another_intent("update payment_intents set stripe_payment_intent_id = 'pi_other'")]
#[case::of_a_session("update payment_intents set checkout_session_id = 'cs_other'")]
#[case::touched_meanwhile("update payment_intents set updated_at = now()")]
#[tokio::test]
async fn an_intent_that_is_no_longer_stale_when_it_was_read_is_not_canceled(#[case] change: &str) {
    let app = App::new().await;
    let intent = app.intent_of("overdue", 8, OPEN, Some(OPEN)).await;

    let reply = run_and_meanwhile(&app, Operation::Retrieve, &intent, app.execute(change)).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["left_alone"], 1, "{reply:?}");
    assert_eq!(app.stripe.status(&intent).as_deref(), Some(OPEN));
    assert_eq!(app.stripe.calls().len(), 1);
}

#[tokio::test]
async fn held_money_is_kept_when_its_order_is_opened_again_meanwhile() {
    let app = App::new().await;
    let held = "requires_capture";
    let intent = app.intent_of("CANCELED", 8, held, Some(held)).await;
    let paid = app.execute("update orders set status = 'PAID'");

    let reply = run_and_meanwhile(&app, Operation::Retrieve, &intent, paid).await;

    assert_eq!(reply.results()["left_alone"], 1, "{reply:?}");
    assert_eq!(app.stripe.status(&intent).as_deref(), Some(held));
}

#[rstest::rstest]
#[case("succeeded", "left_alone", 0)]
#[case::the_webhook_of_our_own_cancel("canceled", "payment_intents_canceled", 1)]
#[tokio::test]
async fn a_final_status_that_a_webhook_wrote_meanwhile_is_not_overwritten(
    #[case] status: &str,
    #[case] counted_as: &str,
    #[case] events: i64,
) {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
    let webhook = format!("update payment_intents set status = '{status}', last_error = 'kept'");
    let webhook = app.execute(&webhook);

    let reply = run_and_meanwhile(&app, Operation::Cancel, &intent, webhook).await;

    assert_eq!(reply.results()[counted_as], 1, "{reply:?}");
    let row = app
        .rows("select status, last_error from payment_intents")
        .await;
    assert_eq!(row, json!([{ "status": status, "last_error": "kept" }]));
    let noted = "select count(*) from audit_events";
    assert_eq!(app.count(noted).await, events);
}

#[tokio::test]
async fn a_run_that_lost_its_lease_after_the_cancel_leaves_the_truth_to_the_next() {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
    let steal = app.execute(
        "update job_leases set epoch = epoch + 1, run_id = gen_random_uuid(),
                               expires_at = now() - interval '1 second'",
    );

    let fenced = run_and_meanwhile(&app, Operation::Cancel, &intent, steal).await;

    assert_eq!(fenced.outcome(), (409, "fenced"), "{fenced:?}");
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
    let open = "select count(*) from payment_intents where status = 'requires_payment_method'";
    assert_eq!(app.count(open).await, 1);
    assert_eq!(app.count("select count(*) from audit_events").await, 0);

    let next = app.deliver(CLEANUP).await;

    assert_eq!(next.results()["payments_updated"], 1, "{next:?}");
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
    let event = app
        .rows("select payload ->> 'canceled_by' as canceled_by from audit_events")
        .await;
    assert_eq!(event, json!([{ "canceled_by": "found canceled" }]));
}

#[tokio::test]
async fn a_row_that_another_transaction_holds_keeps_no_other_waiting() {
    let app = App::impatient().await;
    let held = app.intent_of("no order", 9, OPEN, Some(OPEN)).await;
    app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
    let mut webhook = app.db.begin().await.unwrap();
    sqlx::query("select from payment_intents where stripe_payment_intent_id = $1 for update")
        .bind(&held)
        .execute(&mut *webhook)
        .await
        .unwrap();

    let reply = app.deliver(CLEANUP).await;
    webhook.rollback().await.unwrap();
    let next = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["payment_intents_canceled"], 1, "{reply:?}");
    assert_eq!(reply.results()["errors"][0]["payment_intent_id"], held);
    assert_eq!(next.results()["payments_updated"], 1, "{next:?}");
    assert_eq!(app.stripe.max_effective_cancels(), 1);
}

#[tokio::test]
async fn both_jobs_over_the_same_intents_end_each_once() {
    let app = App::new().await;
    for _ in 0..80 {
        app.intent_of("overdue", 8, OPEN, Some(OPEN)).await;
    }
    app.stripe.latency(Duration::from_millis(5));

    let (cleanup, expire) = tokio::join!(app.deliver(CLEANUP), app.deliver(JOB));

    assert_eq!(cleanup.outcome(), (200, "succeeded"), "{cleanup:?}");
    assert_eq!(expire.outcome(), (200, "succeeded"), "{expire:?}");
    assert_eq!(app.stripe.cancel_effects().len(), 80);
    assert_eq!(app.stripe.max_effective_cancels(), 1);
    let turned = [
        &cleanup.results()["payment_intents_canceled"],
        &cleanup.results()["payments_updated"],
        &expire.results()["payment_intents_canceled"],
    ];
    let turned: i64 = turned.iter().map(|count| count.as_i64().unwrap()).sum();
    assert_eq!(turned, 80, "{cleanup:?} {expire:?}");
    let noted = app
        .count(
            "select count(distinct entity_id) from audit_events
              where event_type = 'local.payment.canceled'",
        )
        .await;
    assert_eq!(noted, 80);
    let events = "select count(*) from audit_events where event_type = 'local.payment.canceled'";
    assert_eq!(app.count(events).await, 80);
    let ended = "select count(*) from orders o join payment_intents p on p.order_id = o.id
                  where o.status = 'EXPIRED' and p.status = 'canceled'";
    assert_eq!(app.count(ended).await, 80);
}

#[rstest::rstest]
#[case::unknown(OPEN, None, "payment_intent_missing")]
#[case::wrong_here("succeeded", Some("canceled"), "payment_status_corrected")]
#[tokio::test]
async fn an_alert_about_what_is_seen_once_is_not_lost_with_the_run(
    #[case] here: &str,
    #[case] at_stripe: Option<&str>,
    #[case] alert: &str,
) {
    let app = App::new().await;
    app.intent_of("no order", 9, here, at_stripe).await;
    let next = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
    let thinking = Fault::Hang(Duration::from_millis(600));
    app.stripe.fault(Operation::Cancel, &next, thinking);
    let lost = async {
        crate::processes::until("the cancel", async || app.ends() > 0).await;
        app.execute(
            "update job_leases set epoch = epoch + 1, run_id = gen_random_uuid(),
                                   expires_at = now() - interval '1 second'",
        )
        .await;
    };
    let one_by_one = Delivery::of(CLEANUP).body(r#"{"batch_size": 1}"#);

    let (fenced, ()) = tokio::join!(one_by_one.to(&app), lost);
    app.deliver(CLEANUP).await;

    assert_eq!(fenced.outcome(), (409, "fenced"), "{fenced:?}");
    assert_eq!(app.open_alerts().await, alert);
}
