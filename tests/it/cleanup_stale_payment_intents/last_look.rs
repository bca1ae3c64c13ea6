//! The shop changes its mind while the job is on its way to a cancel.

use jarvis_cron::demo::stripe_double::Operation;
use rstest::rstest;

use super::races::run_and_meanwhile;
use super::{CLEANUP, OPEN};
use crate::app::App;
use crate::processes::until;

const MORE_TIME: &str = "update orders set expires_at = now() + interval '1 hour'";

#[tokio::test]
async fn a_cancel_that_waits_for_its_turn_at_stripe_looks_when_the_turn_comes() {
    // Two at once, then one each 125 ms: reading takes the first second.
    let app = App::with(&[("STRIPE_MAX_RPS", "8")]).await;
    for _ in 0..8 {
        app.intent_of("overdue", 8, OPEN, Some(OPEN)).await;
    }

    let meanwhile = async {
        until("the first cancel", async || app.ends() > 0).await;
        app.execute(MORE_TIME).await;
        app.ends()
    };
    let (reply, before) = tokio::join!(app.deliver(CLEANUP), meanwhile);

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    // Those that had looked just before the change may still leave.
    let after = app.ends();
    assert!(
        after <= before + 2,
        "{before} cancels before, {after} after"
    );
    assert!(after < 8, "the change came too late to show anything");
}

#[rstest]
#[case::of_another_order_that_can_be_paid(
    "with other as (
         insert into orders (order_number, expires_at)
         values ('O-other', now() + interval '1 hour')
         returning id
     )
     update payment_intents set order_id = other.id from other"
)]
#[case::of_an_order_without_an_end(
    "with other as (
         insert into orders (order_number) values ('O-other') returning id
     )
     update payment_intents set order_id = other.id from other"
)]
#[tokio::test]
async fn an_intent_that_was_given_to_an_order_meanwhile_is_kept(#[case] change: &str) {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;

    run_and_meanwhile(&app, Operation::Retrieve, &intent, app.execute(change)).await;

    assert_eq!(app.ends(), 0);
    assert_eq!(app.stripe.status(&intent).as_deref(), Some(OPEN));
}
