//! A key that is denied, refused or of the other mode, and a Stripe that is away.

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use rstest::rstest;
use serde_json::json;

use super::{CLEANUP, OPEN};
use crate::app::{App, Reply};

/// Nothing was changed for any intent, and no alert is about one.
async fn assert_all_open(app: &App, intents: i32) {
    let found = app
        .rows(
            "select (select count(*) from payment_intents where status = 'requires_payment_method')
                        as open,
                    (select count(*) from alerts where kind = 'payment_intent_missing') as missing",
        )
        .await;
    assert_eq!(found, json!([{ "open": intents, "missing": 0 }]));
    assert_eq!(app.stripe.max_effective_cancels(), 0);
}

fn assert_failed(reply: &Reply) {
    assert_eq!(reply.outcome(), (500, "failed"), "{reply:?}");
    assert!(!reply.text.contains("nothing to do"), "{reply:?}");
}

/// Stripe answers again: all intents are canceled, and the alert ends.
async fn assert_recovers(app: &App, intents: i32) {
    app.stripe.clear_faults();
    // What was refused counts as an answer for an hour.
    app.execute("update payment_intents set last_synced_at = null")
        .await;
    let reply = app.deliver(CLEANUP).await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["payment_intents_canceled"], intents);
    assert_eq!(app.open_alerts().await, "");
}

#[rstest]
#[case::a_revoked_key(Operation::Retrieve, Fault::status(401), "stripe_denied")]
#[case::a_key_that_may_not_read(Operation::Retrieve, Fault::status(403), "stripe_denied")]
#[case::a_key_that_may_not_cancel(Operation::Cancel, Fault::status(403), "stripe_denied:write")]
#[case::a_key_of_the_other_mode(Operation::Retrieve, Fault::OtherMode, "stripe_denied")]
#[tokio::test]
async fn a_run_that_was_only_denied_has_failed_and_one_alert_is_open_until_stripe_answers(
    #[case] operation: Operation,
    #[case] fault: Fault,
    #[case] alert: &str,
    #[values(1, 4, 5, 6, 60)] intents: i32,
) {
    let app = App::new().await;
    app.many_intents(intents).await;
    app.stripe.always(operation, fault);

    assert_failed(&app.deliver(CLEANUP).await);

    assert_eq!(app.open_alerts().await, alert);
    assert_all_open(&app, intents).await;
    assert_failed(&app.deliver(CLEANUP).await);
    assert_eq!(app.count("select count(*) from alerts").await, 1);
    assert_recovers(&app, intents).await;
}

#[rstest]
#[tokio::test]
async fn a_night_with_a_key_of_the_other_mode_leaves_no_trace_that_must_be_undone(
    #[values(1, 4, 5, 6, 60)] intents: i32,
) {
    let app = App::new().await;
    app.many_intents(intents).await;
    app.stripe.always(Operation::Retrieve, Fault::OtherMode);
    app.deliver(CLEANUP).await;
    app.stripe.clear_faults();

    // No row is touched: with the right key all goes well at once.
    let reply = app.deliver(CLEANUP).await;

    assert_eq!(
        reply.results()["payment_intents_canceled"],
        intents,
        "{reply:?}"
    );
    assert_eq!(app.open_alerts().await, "");
}

#[tokio::test]
async fn an_intent_of_the_other_mode_among_good_ones_is_not_missing() {
    let app = App::new().await;
    let intents = app.many_intents(3).await;
    app.stripe
        .fault(Operation::Retrieve, &intents[1], Fault::OtherMode);

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["payment_intents_canceled"], 2);
    let here = app
        .rows("select status from payment_intents where status <> 'canceled'")
        .await;
    assert_eq!(here, json!([{ "status": OPEN }]));
}

#[rstest]
#[case::without_a_code(400, None)]
#[case::with_a_code(400, Some("account_invalid"))]
#[tokio::test]
async fn one_refusal_for_every_call_is_one_matter(
    #[case] status: u16,
    #[case] code: Option<&str>,
    #[values(2, 5, 6, 70)] intents: i32,
) {
    let app = App::new().await;
    app.many_intents(intents).await;
    let fault = Fault::Status {
        status,
        code: code.map(str::to_owned),
        should_retry: None,
        retry_after: None,
    };
    app.stripe.always(Operation::Retrieve, fault);

    assert_failed(&app.deliver(CLEANUP).await);

    assert_eq!(app.open_alerts().await, "stripe_refuses_all");
    assert_all_open(&app, intents).await;
    assert_recovers(&app, intents).await;
}

#[rstest]
#[tokio::test]
async fn a_stripe_that_cannot_be_reached_fails_the_run_and_is_tried_again(
    #[values(1, 4, 5, 6)] intents: i32,
    #[values("no connection", "no answer")] how: &str,
) {
    // Nothing listens on the discard port.
    let away: &[(&str, &str)] = match how {
        "no connection" => &[("STRIPE_API_BASE", "http://127.0.0.1:9")],
        _ => &[],
    };
    let app = App::with(away).await;
    app.many_intents(intents).await;
    app.stripe.always(Operation::Retrieve, Fault::Disconnect);

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (503, "failed"), "{reply:?}");
    assert!(reply.headers.contains_key("retry-after"));
    assert!(!reply.text.contains("nothing to do"), "{reply:?}");
    assert_all_open(&app, intents).await;
}

#[rstest]
#[case::denied(Fault::status(401), 500)]
#[case::refused(Fault::status(400), 500)]
#[case::of_the_other_mode(Fault::OtherMode, 500)]
#[case::unreachable(Fault::Disconnect, 503)]
#[tokio::test]
async fn a_dry_run_that_learns_nothing_has_failed_and_alerts_nobody(
    #[case] fault: Fault,
    #[case] status: u16,
) {
    let app = App::new().await;
    app.many_intents(3).await;
    app.stripe.always(Operation::Retrieve, fault);

    let reply = app.assert_a_dry_run_changes_nothing(CLEANUP).await;

    assert_eq!(reply.outcome(), (status, "failed"), "{reply:?}");
}

#[rstest]
#[case::an_error_of_stripes(Fault::status(500))]
#[case::a_rate_limit(Fault::status(429))]
#[case::no_json(Fault::GarbledBody)]
#[case::a_refusal(Fault::status(400))]
#[case::a_denial(Fault::status(403))]
#[case::silence(Fault::Disconnect)]
#[tokio::test]
async fn nothing_to_do_is_never_said_beside_an_error(
    #[case] fault: Fault,
    #[values(true, false)] is_dry: bool,
) {
    let app = App::new().await;
    app.many_intents(1).await;
    app.stripe.always(Operation::Retrieve, fault);

    let reply = app.operate(CLEANUP, &format!("dry_run={is_dry}")).await;

    assert!(!reply.contradicts_itself(), "{reply:?}");
}
