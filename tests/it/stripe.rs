//! How Stripe is called: headers, keys, repetitions, pace.

use std::time::{Duration, Instant};

use jarvis_cron::demo::stripe_double::{Call, Fault, Operation};
use rstest::rstest;

use crate::app::{App, JOB};

async fn app_with_an_open_intent(settings: &[(&str, &str)]) -> (App, String) {
    let app = App::with(settings).await;
    let (_, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    (app, intent)
}

fn cancels(app: &App) -> Vec<Call> {
    let is_cancel = |call: &Call| call.operation == Some(Operation::Cancel);
    app.stripe.calls().into_iter().filter(is_cancel).collect()
}

#[tokio::test]
async fn every_call_names_the_version_it_was_written_for() {
    let (app, _) = app_with_an_open_intent(&[]).await;

    app.deliver(JOB).await;

    let calls = app.stripe.calls();
    assert_eq!(calls.len(), 2);
    assert!(
        calls
            .iter()
            .all(|call| call.stripe_version.as_deref() == Some("2026-09-30.endive"))
    );
}

#[rstest]
#[case::abandoned_if_not_said("STRIPE_MAX_RPS", "5000", vec!["abandoned"])]
#[case::as_said("STRIPE_CANCELLATION_REASON", "duplicate", vec!["duplicate"])]
#[tokio::test]
async fn the_reason_of_a_cancel_is_sent(
    #[case] name: &str,
    #[case] value: &str,
    #[case] sent: Vec<&str>,
) {
    let (app, _) = app_with_an_open_intent(&[(name, value)]).await;

    app.deliver(JOB).await;

    let form = &cancels(&app)[0].form;
    let reasons: Vec<&str> = form.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(reasons, sent);
    assert_eq!(form[0].0, "cancellation_reason");
}

#[rstest]
#[case::conflict(Fault::status(409), 1)]
// Stripe stores this one, and replays it for as long as the key is the same.
#[case::failed_dependency(Fault::status(424), 0)]
#[case::rate_limit(Fault::status(429), 1)]
#[case::lock_timeout(Fault::LockTimeout, 1)]
#[case::broken_connection(Fault::Disconnect, 1)]
#[case::its_own_word_against_the_status(Fault::Status {
    status: 403, code: None, should_retry: Some(true), retry_after: None
}, 1)]
#[tokio::test]
async fn a_call_that_may_be_repeated_is_repeated_under_the_same_key(
    #[case] fault: Fault,
    #[case] expired: i64,
) {
    let (app, intent) = app_with_an_open_intent(&[]).await;
    app.stripe.fault(Operation::Cancel, &intent, fault.clone());
    app.stripe.fault(Operation::Cancel, &intent, fault);

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.results()["orders_expired"], expired, "{reply:?}");
    let keys: Vec<Option<String>> = cancels(&app)
        .into_iter()
        .map(|call| call.idempotency_key)
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(
        keys[0].is_some() && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
}

#[rstest]
#[case::bad_request(Fault::status(400))]
#[case::card_error(Fault::status(402))]
#[case::missing(Fault::status(404))]
#[case::its_own_word_against_the_status(Fault::Status {
    status: 503, code: None, should_retry: Some(false), retry_after: None
})]
#[case::asked_to_wait_longer_than_the_run(Fault::Status {
    status: 429, code: None, should_retry: None, retry_after: Some(120)
})]
#[tokio::test]
async fn a_call_that_must_not_be_repeated_is_not(#[case] fault: Fault) {
    let (app, _) = app_with_an_open_intent(&[]).await;
    app.stripe.always(Operation::Cancel, fault);

    app.deliver(JOB).await;

    assert_eq!(cancels(&app).len(), 1);
}

#[tokio::test]
async fn stripe_is_given_the_pause_it_asks_for() {
    let (app, intent) = app_with_an_open_intent(&[]).await;
    let fault = Fault::Status {
        status: 429,
        code: None,
        should_retry: None,
        retry_after: Some(2),
    };
    app.stripe.fault(Operation::Cancel, &intent, fault);

    app.deliver(JOB).await;

    let at: Vec<Instant> = cancels(&app).into_iter().map(|call| call.at).collect();
    assert_eq!(at.len(), 2);
    // Our own first pause is under a second, so a longer one was asked for.
    assert!(
        at[1] - at[0] >= Duration::from_secs(2),
        "{:?}",
        at[1] - at[0]
    );
}

#[tokio::test]
async fn no_more_calls_leave_in_a_second_than_was_allowed() {
    let app = App::with(&[("STRIPE_MAX_RPS", "20")]).await;
    app.stale_orders(30, 1).await;
    app.open_intents_for_all().await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.results()["orders_expired"], 30);
    let at: Vec<Instant> = app.stripe.calls().iter().map(|call| call.at).collect();
    let within_a_second_of = |first: &Instant| {
        let second = *first..*first + Duration::from_secs(1);
        at.iter().filter(|at| second.contains(at)).count()
    };
    let most = at.iter().map(within_a_second_of).max().unwrap();
    // A full bucket, a quarter of a second's worth, and what flows in meanwhile.
    assert!((2..=26).contains(&most), "{most} calls in a second");
}
