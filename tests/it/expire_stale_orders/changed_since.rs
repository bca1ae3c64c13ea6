//! A postponed order is asked about again as soon as one of its rows changes.

use rstest::rstest;

use crate::app::{App, JOB};
use crate::payments::OPEN;

const WEBHOOK: &str = "update payment_intents set status = 'canceled', updated_at = now()";
const WITHOUT_A_DATE: &str = "update payment_intents set status = 'canceled'";

#[rstest]
#[case::an_authorisation("requires_capture", WEBHOOK)]
#[case::an_authorisation_without_a_date("requires_capture", WITHOUT_A_DATE)]
#[case::a_bank_debit("processing", WEBHOOK)]
#[case::a_payment("succeeded", WEBHOOK)]
#[case::of_a_status_made_up_since("requires_patience", WEBHOOK)]
#[tokio::test]
async fn an_order_whose_payment_is_voided_expires_at_the_next_tick(
    #[case] at_stripe: &str,
    #[case] webhook: &str,
) {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(at_stripe)).await;
    app.deliver(JOB).await;
    assert_eq!(app.order_status(order).await, "PENDING");
    app.stripe.set_status(&intent, "canceled");
    app.execute(webhook).await;

    let reply = app.deliver(JOB).await;
    app.deliver(JOB).await;

    assert_eq!(reply.results()["orders_expired"], 1, "{reply:?}");
    let story = app.story(order).await;
    assert!(
        story.starts_with("EXPIRED; reserved 0, RELEASED"),
        "{story}"
    );
    // It is over, whichever alert was open.
    assert!(!story.contains("alert order_"), "{story}");
}

#[rstest]
#[case::of_the_order("update orders set updated_at = now()")]
#[case::of_its_status("update orders set status = 'REQUIRES_PAYMENT'")]
#[case::of_its_end("update orders set expires_at = expires_at - interval '1 hour'")]
#[case::of_the_intent("update payment_intents set updated_at = now()")]
#[case::of_its_status_alone("update payment_intents set status = 'requires_action'")]
#[case::of_its_session("update payment_intents set checkout_session_id = 'cs_1'")]
#[tokio::test]
async fn any_change_is_a_reason_to_ask_again(#[case] change: &str) {
    let app = App::new().await;
    app.stale_order_with_intent(OPEN, Some("processing")).await;
    app.deliver(JOB).await;
    let calls = app.stripe.calls().len();
    app.execute(change).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.results()["orders_deferred"], 1, "{reply:?}");
    assert!(app.stripe.calls().len() > calls);
    app.assert_another_run_changes_nothing(JOB).await;
}

#[rstest]
#[case::processing(Some("processing"))]
#[case::held(Some("requires_capture"))]
#[case::paid(Some("succeeded"))]
#[case::of_a_status_made_up_since(Some("requires_patience"))]
#[tokio::test]
async fn an_order_of_which_nothing_changed_waits_for_its_turn(#[case] at_stripe: Option<&str>) {
    let app = App::new().await;
    app.stale_order_with_intent(OPEN, at_stripe).await;
    app.deliver(JOB).await;

    app.assert_another_run_changes_nothing(JOB).await;
    app.assert_another_run_changes_nothing(JOB).await;
}

#[tokio::test]
async fn a_new_intent_is_a_change() {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some("processing")).await;
    app.deliver(JOB).await;
    app.stripe.set_status(&intent, OPEN);
    app.intent(order, OPEN, Some(OPEN)).await;

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.stripe.cancel_effects().len(), 2);
}

#[tokio::test]
async fn a_change_of_one_order_brings_up_no_other() {
    let app = App::new().await;
    let (changed, _) = app.stale_order_with_intent(OPEN, Some("processing")).await;
    let (_, other) = app.stale_order_with_intent(OPEN, Some("processing")).await;
    app.deliver(JOB).await;
    app.execute(&format!(
        "update orders set updated_at = now() where id = '{changed}'"
    ))
    .await;

    app.deliver(JOB).await;

    let asked = app.stripe.calls();
    let about_other = asked
        .iter()
        .filter(|call| call.intent.as_deref() == Some(&other));
    assert_eq!(about_other.count(), 1);
}

#[tokio::test]
async fn what_the_weekly_clean_up_writes_about_an_intent_is_heard_of_too() {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some("processing")).await;
    app.deliver(JOB).await;
    app.stripe.set_status(&intent, OPEN);
    // The intent is a week old, and was not asked about for an hour.
    app.execute(
        "update payment_intents
            set created_at = now() - interval '8 days', last_synced_at = now() - interval '2 hours'",
    )
    .await;
    app.deliver("cleanup-stale-payment-intents").await;
    assert_eq!(app.stripe.effective_cancels(&intent), 1);

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
}

#[tokio::test]
async fn an_order_that_was_postponed_by_a_clock_set_back_since_comes_up_at_once() {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some("processing")).await;
    app.deliver(JOB).await;
    app.execute(
        "update order_expirations
            set next_attempt_at = next_attempt_at + interval '1 year',
                updated_at = updated_at + interval '1 year'",
    )
    .await;
    app.stripe.set_status(&intent, "canceled");

    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
}

#[tokio::test]
async fn what_an_order_looks_like_is_computed_for_those_that_wait_and_for_no_other() {
    let app = App::new().await;
    let waiting = app.stale_orders(3, 1).await;
    // Whatever the planner knows, and so without an index of the orders that wait.
    app.execute(
        "do $$ begin
             execute format('alter database %I set enable_nestloop = off', current_database());
         end $$;
         insert into order_expirations (order_id, next_attempt_at, last_outcome, seen)
         select id, now() + interval '1 hour', 'deferred', 'as it was' from orders;
         create or replace function order_seen(of_order uuid) returns text language plpgsql stable
         as $$ begin
             perform from order_expirations where order_id = of_order;
             if not found then raise 'computed for an order that does not wait'; end if;
             return 'as it was';
         end $$",
    )
    .await;
    app.stale_orders(20, 1).await;
    // The setting reaches new connections only.
    app.execute(
        "select pg_terminate_backend(pid)
           from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 20, "{reply:?}");
    assert_eq!(app.order_status(waiting[0]).await, "PENDING");
}
