//! Every status at Stripe, for every kind of order, and what becomes of the
//! rows.

use jarvis_cron::demo::stripe_double::{Intent, Operation};
use serde_json::json;

use super::rows::assert_counted;
use super::{CLEANUP, OPEN};
use crate::app::App;

/// The status of an intent here and at Stripe.
const STATUSES: [(&str, Option<&str>); 11] = [
    (OPEN, Some(OPEN)),
    ("requires_confirmation", Some("requires_confirmation")),
    ("requires_action", Some("requires_action")),
    ("processing", Some("processing")),
    ("requires_capture", Some("requires_capture")),
    (OPEN, Some("processing")),
    (OPEN, Some("requires_capture")),
    (OPEN, Some("succeeded")),
    (OPEN, Some("canceled")),
    (OPEN, Some("requires_patience")),
    (OPEN, None),
];

#[tokio::test]
async fn status_at_stripe_and_kind_of_order_decide() {
    let app = App::new().await;
    let mut intents = Vec::new();
    for order in [
        "no order",
        "in time",
        "never due",
        "overdue",
        "PAID",
        "EXPIRED",
        "CANCELED",
        "REFUNDED",
    ] {
        for (here, at_stripe) in STATUSES {
            let intent = app.intent_of(order, 8, here, at_stripe).await;
            intents.push((order, here, at_stripe.unwrap_or("404"), intent));
        }
    }

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let mut lines = Vec::new();
    for (order, here, at_stripe, intent) in &intents {
        let line = app.line(intent, here, &reply).await;
        lines.push(format!("{order} | {here} | {at_stripe} | {line}"));
    }
    assert_counted(&lines, &reply);
    // What was not asked about is as before.
    lines.retain(|line| !line.contains("not asked about"));
    let unasked = intents.len() - lines.len();
    assert_eq!(unasked, 2 * STATUSES.len(), "{lines:#?}");
    println!("order | here | at Stripe | status | canceled_at | last_error | counted as");
    println!("{}", lines.join("\n"));
    assert_eq!(lines.join("\n"), DECIDED.trim());
}

#[tokio::test]
async fn money_that_is_there_is_never_canceled() {
    let app = App::new().await;
    for order in [
        "no order", "EXPIRED", "CANCELED", "REFUNDED", "PAID", "overdue",
    ] {
        app.intent_of(order, 30, OPEN, Some("succeeded")).await;
    }

    app.deliver(CLEANUP).await;

    let calls = app.stripe.calls();
    assert_eq!(calls.len(), 6);
    let is_read = |operation| operation == Some(Operation::Retrieve);
    assert!(
        calls.iter().all(|call| is_read(call.operation)),
        "{calls:?}"
    );
    assert_eq!(app.count("select count(*) from audit_events").await, 0);
}

/// An intent of that session at Stripe; here it may be unknown.
async fn of_checkout(app: &App, order: &str, status: &str, session: Option<&str>) -> String {
    let intent = app.intent_of(order, 8, status, None).await;
    app.stripe.add(Intent {
        checkout_session_id: Some("cs_1".to_owned()),
        ..Intent::new(&intent, status)
    });
    sqlx::query("update payment_intents set checkout_session_id = $1")
        .bind(session)
        .execute(&app.db)
        .await
        .unwrap();
    intent
}

#[tokio::test]
async fn an_intent_of_a_checkout_session_is_ended_with_its_session() {
    let app = App::new().await;
    let intent = of_checkout(&app, "no order", OPEN, Some("cs_1")).await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.results()["payment_intents_canceled"], 1, "{reply:?}");
    let session = app.stripe.session_status("cs_1");
    assert_eq!(session.as_deref(), Some("expired"));
    insta::assert_snapshot!(app.line(&intent, OPEN, &reply).await, @"canceled | set | - | payment_intents_canceled");
}

#[tokio::test]
async fn held_money_of_a_checkout_session_is_given_back_directly() {
    let app = App::new().await;
    let held = "requires_capture";
    let intent = of_checkout(&app, "EXPIRED", held, Some("cs_1")).await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(app.stripe.effective_cancels(&intent), 1);
    insta::assert_snapshot!(app.line(&intent, held, &reply).await, @"canceled | set | - | payment_intents_canceled");
}

#[rstest::rstest]
#[case::a_session_that_stripe_does_not_know(Some("cs_other"))]
#[case::a_session_that_we_do_not_know(None)]
#[tokio::test]
async fn an_intent_that_cannot_be_ended_through_its_session_is_an_error(
    #[case] session: Option<&str>,
) {
    let app = App::new().await;
    let intent = of_checkout(&app, "no order", OPEN, session).await;

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["errors"][0]["payment_intent_id"], intent);
    let row = app
        .rows(
            "select status, cancel_attempts, last_error is not null as error from payment_intents",
        )
        .await;
    assert_eq!(
        row,
        json!([{ "status": OPEN, "cancel_attempts": 1, "error": true }])
    );
}

#[tokio::test]
async fn a_missing_intent_is_alerted_until_it_is_known_again() {
    let app = App::new().await;
    let intent = app.intent_of("EXPIRED", 8, OPEN, None).await;
    let first = app.deliver(CLEANUP).await;
    assert_eq!(first.results()["alerts_opened"], 1, "{first:?}");
    let alert = app
        .rows(
            "select a.kind, a.severity, a.status, a.order_id,
                    a.dedup_key = 'payment_intent_missing:' || p.id as keyed,
                    a.details ->> 'order_id' = p.order_id::text as names_the_order,
                    a.details ->> 'stripe_payment_intent_id' as intent,
                    jsonb_array_length(a.recommended_actions) as actions
               from alerts a, payment_intents p",
        )
        .await;
    assert_eq!(
        alert,
        json!([{ "kind": "payment_intent_missing", "severity": "warning", "status": "open",
                 "order_id": null, "keyed": true, "names_the_order": true, "intent": intent,
                 "actions": 3 }])
    );

    // The key was wrong, and the operator has done what the alert says.
    app.stripe.add(Intent::new(&intent, OPEN));
    app.execute("update payment_intents set status = 'requires_action', last_synced_at = null")
        .await;
    let second = app.deliver(CLEANUP).await;

    assert_eq!(second.results()["payment_intents_canceled"], 1);
    let alert = app.rows("select status, resolved_by from alerts").await;
    assert_eq!(
        alert,
        json!([{ "status": "resolved", "resolved_by": "system" }])
    );
}

#[tokio::test]
async fn an_alert_about_an_intent_does_not_end_with_its_order() {
    let app = App::new().await;
    app.intent_of("EXPIRED", 8, OPEN, None).await;
    app.deliver(CLEANUP).await;

    app.deliver(crate::app::JOB).await;
    app.deliver(CLEANUP).await;

    let open = "select count(*) from alerts where status = 'open'";
    assert_eq!(app.count(open).await, 1);
}

/// Order, status here and at Stripe; the row and how it counted after the run.
const DECIDED: &str = r#"
no order | requires_payment_method | requires_payment_method | canceled | set | - | payment_intents_canceled
no order | requires_confirmation | requires_confirmation | canceled | set | - | payment_intents_canceled
no order | requires_action | requires_action | canceled | set | - | payment_intents_canceled
no order | processing | processing | processing | - | - | left_alone
no order | requires_capture | requires_capture | requires_capture | - | - | left_alone
no order | requires_payment_method | processing | processing | - | - | payments_updated
no order | requires_payment_method | requires_capture | requires_capture | - | - | payments_updated
no order | requires_payment_method | succeeded | succeeded | - | - | payments_updated
no order | requires_payment_method | canceled | canceled | set | - | payments_updated
no order | requires_payment_method | requires_patience | requires_payment_method | - | Stripe says "requires_patience", a status we do not know | errors
no order | requires_payment_method | 404 | missing | - | No such payment_intent: 'pi_1' | payments_updated
overdue | requires_payment_method | requires_payment_method | canceled | set | - | payment_intents_canceled
overdue | requires_confirmation | requires_confirmation | canceled | set | - | payment_intents_canceled
overdue | requires_action | requires_action | canceled | set | - | payment_intents_canceled
overdue | processing | processing | processing | - | - | left_alone
overdue | requires_capture | requires_capture | requires_capture | - | - | left_alone
overdue | requires_payment_method | processing | processing | - | - | payments_updated
overdue | requires_payment_method | requires_capture | requires_capture | - | - | payments_updated
overdue | requires_payment_method | succeeded | succeeded | - | - | payments_updated
overdue | requires_payment_method | canceled | canceled | set | - | payments_updated
overdue | requires_payment_method | requires_patience | requires_payment_method | - | Stripe says "requires_patience", a status we do not know | errors
overdue | requires_payment_method | 404 | missing | - | No such payment_intent: 'pi_1' | payments_updated
PAID | requires_payment_method | requires_payment_method | canceled | set | - | payment_intents_canceled
PAID | requires_confirmation | requires_confirmation | canceled | set | - | payment_intents_canceled
PAID | requires_action | requires_action | canceled | set | - | payment_intents_canceled
PAID | processing | processing | processing | - | - | left_alone
PAID | requires_capture | requires_capture | requires_capture | - | - | left_alone
PAID | requires_payment_method | processing | processing | - | - | payments_updated
PAID | requires_payment_method | requires_capture | requires_capture | - | - | payments_updated
PAID | requires_payment_method | succeeded | succeeded | - | - | payments_updated
PAID | requires_payment_method | canceled | canceled | set | - | payments_updated
PAID | requires_payment_method | requires_patience | requires_payment_method | - | Stripe says "requires_patience", a status we do not know | errors
PAID | requires_payment_method | 404 | missing | - | No such payment_intent: 'pi_1' | payments_updated
EXPIRED | requires_payment_method | requires_payment_method | canceled | set | - | payment_intents_canceled
EXPIRED | requires_confirmation | requires_confirmation | canceled | set | - | payment_intents_canceled
EXPIRED | requires_action | requires_action | canceled | set | - | payment_intents_canceled
EXPIRED | processing | processing | processing | - | - | left_alone
EXPIRED | requires_capture | requires_capture | canceled | set | - | payment_intents_canceled
EXPIRED | requires_payment_method | processing | processing | - | - | payments_updated
EXPIRED | requires_payment_method | requires_capture | canceled | set | - | payment_intents_canceled
EXPIRED | requires_payment_method | succeeded | succeeded | - | - | payments_updated
EXPIRED | requires_payment_method | canceled | canceled | set | - | payments_updated
EXPIRED | requires_payment_method | requires_patience | requires_payment_method | - | Stripe says "requires_patience", a status we do not know | errors
EXPIRED | requires_payment_method | 404 | missing | - | No such payment_intent: 'pi_1' | payments_updated
CANCELED | requires_payment_method | requires_payment_method | canceled | set | - | payment_intents_canceled
CANCELED | requires_confirmation | requires_confirmation | canceled | set | - | payment_intents_canceled
CANCELED | requires_action | requires_action | canceled | set | - | payment_intents_canceled
CANCELED | processing | processing | processing | - | - | left_alone
CANCELED | requires_capture | requires_capture | canceled | set | - | payment_intents_canceled
CANCELED | requires_payment_method | processing | processing | - | - | payments_updated
CANCELED | requires_payment_method | requires_capture | canceled | set | - | payment_intents_canceled
CANCELED | requires_payment_method | succeeded | succeeded | - | - | payments_updated
CANCELED | requires_payment_method | canceled | canceled | set | - | payments_updated
CANCELED | requires_payment_method | requires_patience | requires_payment_method | - | Stripe says "requires_patience", a status we do not know | errors
CANCELED | requires_payment_method | 404 | missing | - | No such payment_intent: 'pi_1' | payments_updated
REFUNDED | requires_payment_method | requires_payment_method | canceled | set | - | payment_intents_canceled
REFUNDED | requires_confirmation | requires_confirmation | canceled | set | - | payment_intents_canceled
REFUNDED | requires_action | requires_action | canceled | set | - | payment_intents_canceled
REFUNDED | processing | processing | processing | - | - | left_alone
REFUNDED | requires_capture | requires_capture | canceled | set | - | payment_intents_canceled
REFUNDED | requires_payment_method | processing | processing | - | - | payments_updated
REFUNDED | requires_payment_method | requires_capture | canceled | set | - | payment_intents_canceled
REFUNDED | requires_payment_method | succeeded | succeeded | - | - | payments_updated
REFUNDED | requires_payment_method | canceled | canceled | set | - | payments_updated
REFUNDED | requires_payment_method | requires_patience | requires_payment_method | - | Stripe says "requires_patience", a status we do not know | errors
REFUNDED | requires_payment_method | 404 | missing | - | No such payment_intent: 'pi_1' | payments_updated
"#;
