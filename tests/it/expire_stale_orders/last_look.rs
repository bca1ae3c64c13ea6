//! The shop changes its mind while the job is on its way to a cancel.

use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use rstest::rstest;

use super::races::run_and_meanwhile;
use crate::app::{App, JOB};
use crate::payments::OPEN;
use crate::processes::until;

const MORE_TIME: &str = "update orders set expires_at = now() + interval '1 hour'";

#[rstest]
#[case::more_time(MORE_TIME)]
#[case::no_end_at_all("update orders set expires_at = null")]
#[case::paid("update orders set status = 'PAID', paid_at = now()")]
#[case::canceled("update orders set status = 'CANCELED'")]
#[case::refunded("update orders set status = 'REFUNDED'")]
#[case::intent_of_no_order("update payment_intents set order_id = null")]
#[case::intent_of_another_order(
    "with other as (
         insert into orders (order_number, expires_at)
         values ('O-other', now() + interval '1 hour')
         returning id
     )
     update payment_intents set order_id = other.id from other"
)]
#[case::intent_of_another_order_that_is_due_too(
    "with other as (
         insert into orders (order_number, expires_at)
         values ('O-other', now() - interval '1 second')
         returning id
     )
     update payment_intents set order_id = other.id from other"
)]
#[tokio::test]
async fn a_change_of_the_shops_before_the_cancel_keeps_the_intent(#[case] change: &str) {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;

    run_and_meanwhile(&app, &intent, app.execute(change)).await;

    assert_eq!(app.ends(), 0);
    assert_eq!(app.stripe.status(&intent).as_deref(), Some(OPEN));
    let story = app.story(order).await;
    assert!(!story.contains("local.payment.canceled"), "{story}");
}

#[rstest]
#[case::while_the_second_is_read(Operation::Retrieve, 1, 0)]
#[case::while_the_first_is_canceled(Operation::Cancel, 0, 1)]
#[tokio::test]
async fn each_cancel_of_an_order_has_a_look_of_its_own(
    #[case] operation: Operation,
    #[case] slow: usize,
    #[case] canceled: usize,
) {
    let app = App::new().await;
    let (order, first) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    let second = app.intent(order, OPEN, Some(OPEN)).await;
    // The job goes by the ids of our rows.
    app.execute(&format!(
        "update payment_intents set id = case stripe_payment_intent_id
             when '{first}' then '00000000-0000-0000-0000-000000000001'::uuid
             else '00000000-0000-0000-0000-000000000002'::uuid end"
    ))
    .await;
    let slow = [&first, &second][slow];
    let thinking = Fault::Hang(Duration::from_millis(600));
    app.stripe.fault(operation, slow, thinking);
    let is_slow_call = || {
        let calls = app.stripe.calls();
        calls
            .iter()
            .any(|it| it.operation == Some(operation) && it.intent.as_deref() == Some(slow))
    };

    let meanwhile = async {
        until("the slow call", async || is_slow_call()).await;
        app.execute(MORE_TIME).await;
    };
    let (reply, ()) = tokio::join!(app.deliver(JOB), meanwhile);

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.ends(), canceled);
    assert_eq!(app.stripe.status(&second).as_deref(), Some(OPEN));
    assert_eq!(app.order_status(order).await, "PENDING");
}

#[tokio::test]
async fn a_cancel_that_waits_for_its_turn_at_stripe_looks_when_the_turn_comes() {
    // Two at once, then one each 125 ms: reading takes the first second.
    let app = App::with(&[("STRIPE_MAX_RPS", "8")]).await;
    app.stale_orders(8, 1).await;
    app.open_intents_for_all().await;

    let meanwhile = async {
        until("the first cancel", async || app.ends() > 0).await;
        app.execute(MORE_TIME).await;
        app.ends()
    };
    let (reply, before) = tokio::join!(app.deliver(JOB), meanwhile);

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    // Those that had looked just before the change may still leave.
    let after = app.ends();
    assert!(
        after <= before + 2,
        "{before} cancels before, {after} after"
    );
    assert!(after < 8, "the change came too late to show anything");
}

#[tokio::test]
async fn a_cancel_that_is_repeated_is_repeated_only_while_the_order_is_due() {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    // The first try is answered after the shop's change, and may be repeated.
    app.stripe
        .fault(Operation::Cancel, &intent, Fault::status(409));
    let asked = async {
        until("the first cancel", async || app.ends() > 0).await;
        app.execute(MORE_TIME).await;
    };

    let (reply, ()) = tokio::join!(app.deliver(JOB), asked);

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.order_status(order).await, "PENDING");
    assert_eq!(app.stripe.status(&intent).as_deref(), Some(OPEN));
}

#[rstest]
#[case::the_order("update orders set updated_at = now()")]
#[case::the_intent("update payment_intents set updated_at = now()")]
#[case::its_amount("update payment_intents set amount = 2000, updated_at = now()")]
#[tokio::test]
async fn an_order_whose_row_was_only_touched_expires_at_the_next_tick_at_the_latest(
    #[case] change: &str,
) {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;

    run_and_meanwhile(&app, &intent, app.execute(change)).await;
    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
    let noted = "select count(*) from order_expirations";
    assert_eq!(app.count(noted).await, 0);
}

#[tokio::test]
async fn an_order_that_was_given_more_time_expires_when_that_is_over() {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;
    run_and_meanwhile(&app, &intent, app.execute(MORE_TIME)).await;
    app.assert_another_run_changes_nothing(JOB).await;

    app.execute("update orders set expires_at = now() - interval '1 second'")
        .await;
    app.deliver(JOB).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
}

#[rstest]
#[case::that_was_open(OPEN)]
#[case::that_another_system_calls_canceled("canceled")]
#[case::that_another_system_calls_missing("missing")]
#[tokio::test]
async fn a_cancel_of_ours_is_noted_once_although_the_row_was_touched_meanwhile(#[case] here: &str) {
    let app = App::new().await;
    let (order, intent) = app.stale_order_with_intent(here, Some(OPEN)).await;
    let late = Fault::HangAfterEffect(Duration::from_millis(600));
    app.stripe.fault(Operation::Cancel, &intent, late);
    let touched = async {
        until("the cancel", async || app.ends() > 0).await;
        app.execute("update payment_intents set updated_at = now()")
            .await;
    };

    let (reply, ()) = tokio::join!(app.deliver(JOB), touched);
    app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.order_status(order).await, "EXPIRED");
    let events = "select count(*) from audit_events where event_type = 'local.payment.canceled'";
    assert_eq!(app.count(events).await, 1);
}
