//! Everything that can go wrong when Stripe is asked, and what is left in the
//! rows.

use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use serde_json::json;

use super::rows::assert_counted;
use super::{CLEANUP, OPEN};
use crate::app::App;

/// As often as one call is made at the most.
const TRIES: usize = 3;

fn to_both() -> Vec<(&'static str, Fault)> {
    let status = Fault::status;
    vec![
        ("400", status(400)),
        ("401", status(401)),
        ("402", status(402)),
        ("403", status(403)),
        ("404", status(404)),
        ("409", status(409)),
        ("424", status(424)),
        ("429", status(429)),
        ("429 lock_timeout", Fault::LockTimeout),
        ("500", status(500)),
        ("502", status(502)),
        ("503", status(503)),
        ("no JSON", Fault::GarbledBody),
        ("no answer", Fault::Disconnect),
        ("400 without a code", Fault::status(400)),
        ("paid meanwhile", Fault::Becomes("succeeded")),
        ("processing meanwhile", Fault::Becomes("processing")),
        ("done, answer lost", Fault::DisconnectAfterEffect),
    ]
}

#[tokio::test]
async fn a_fault_of_stripes_never_cancels_anything_here() {
    let app = App::new().await;
    let mut intents = Vec::new();
    for (call, operation) in [("GET", Operation::Retrieve), ("cancel", Operation::Cancel)] {
        for (name, fault) in to_both() {
            let intent = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
            for _ in 0..TRIES {
                app.stripe.fault(operation, &intent, fault.clone());
            }
            intents.push((format!("{call}: {name}"), intent));
            // One that goes well in between, or denials would stop the run.
            app.intent_of("no order", 8, "processing", Some("processing"))
                .await;
        }
    }

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let mut lines = Vec::new();
    for (fault, intent) in &intents {
        let line = app.line(intent, OPEN, &reply).await;
        lines.push(format!("{fault} | {line}"));
        let here = line.starts_with("canceled");
        let at_stripe = app.stripe.effective_cancels(intent) == 1;
        assert_eq!(here, at_stripe, "{fault}: {line}");
    }
    println!("Stripe's answer | status | canceled_at | last_error | counted as");
    println!("{}", lines.join("\n"));
    let between = vec!["left_alone".to_owned(); intents.len()];
    assert_counted(&[lines.clone(), between].concat(), &reply);
    assert_eq!(lines.join("\n"), LEFT.trim());
}

#[tokio::test]
async fn a_time_out_is_followed_by_another_try_of_the_same_call() {
    let app = App::new().await;
    // Longer than we wait.
    let long = Duration::from_secs(11);
    for (operation, fault) in [
        (Operation::Retrieve, Fault::Hang(long)),
        (Operation::Cancel, Fault::Hang(long)),
        (Operation::Cancel, Fault::HangAfterEffect(long)),
    ] {
        let intent = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
        app.stripe.fault(operation, &intent, fault);
    }

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["payment_intents_canceled"], 3, "{reply:?}");
    assert_eq!(app.stripe.max_effective_cancels(), 1);
    assert_eq!(app.count("select count(*) from audit_events").await, 3);
}

#[tokio::test]
async fn a_cancel_that_failed_is_tried_again_with_another_key() {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;
    // Stripe stores this answer, and gives it again for the same key.
    app.stripe
        .fault(Operation::Cancel, &intent, Fault::status(500));
    let first = app.deliver(CLEANUP).await;
    assert_eq!(first.results()["errors"].as_array().unwrap().len(), 1);

    let second = app.deliver(CLEANUP).await;

    assert_eq!(
        second.results()["payment_intents_canceled"],
        1,
        "{second:?}"
    );
    let row = app
        .rows("select status, cancel_attempts, last_error from payment_intents")
        .await;
    assert_eq!(
        row,
        json!([{ "status": "canceled", "cancel_attempts": 2, "last_error": null }])
    );
}

/// Call and fault; the row and how it counted after the run.
const LEFT: &str = r"
GET: 400 | requires_payment_method | - | Stripe refused (400): Scripted by the double: 400. | errors
GET: 401 | requires_payment_method | - | Stripe denied the key (401): Scripted by the double: 401. | errors, asked again
GET: 402 | requires_payment_method | - | Stripe refused (402): Scripted by the double: 402. | errors
GET: 403 | requires_payment_method | - | Stripe denied the key (403): Scripted by the double: 403. | errors, asked again
GET: 404 | missing | - | Scripted by the double: 404. | payments_updated
GET: 409 | requires_payment_method | - | Stripe could not answer: 409: Scripted by the double: 409. | errors, asked again
GET: 424 | requires_payment_method | - | Stripe could not answer: 424: Scripted by the double: 424. | errors, asked again
GET: 429 | requires_payment_method | - | Stripe could not answer: 429 rate_limit: Scripted by the double: 429. | errors, asked again
GET: 429 lock_timeout | requires_payment_method | - | Stripe could not answer: 429 lock_timeout: Scripted by the double: 429. | errors, asked again
GET: 500 | requires_payment_method | - | Stripe could not answer: 500: Scripted by the double: 500. | errors, asked again
GET: 502 | requires_payment_method | - | Stripe could not answer: 502: Scripted by the double: 502. | errors, asked again
GET: 503 | requires_payment_method | - | Stripe could not answer: 503: Scripted by the double: 503. | errors, asked again
GET: no JSON | requires_payment_method | - | Stripe could not answer: 200: no message | errors, asked again
GET: no answer | requires_payment_method | - | Stripe cannot be reached: the connection broke off | errors, asked again
GET: 400 without a code | requires_payment_method | - | Stripe refused (400): Scripted by the double: 400. | errors
GET: paid meanwhile | succeeded | - | - | payments_updated
GET: processing meanwhile | processing | - | - | payments_updated
GET: done, answer lost | requires_payment_method | - | Stripe cannot be reached: the connection broke off | errors, asked again
cancel: 400 | requires_payment_method | - | Stripe refused (400): Scripted by the double: 400. | errors
cancel: 401 | requires_payment_method | - | Stripe denied the key (401): Scripted by the double: 401. | errors, asked again
cancel: 402 | requires_payment_method | - | Stripe refused (402): Scripted by the double: 402. | errors
cancel: 403 | requires_payment_method | - | Stripe denied the key (403): Scripted by the double: 403. | errors, asked again
cancel: 404 | missing | - | Scripted by the double: 404. | payments_updated
cancel: 409 | requires_payment_method | - | Stripe could not answer: 409: Scripted by the double: 409. | errors, asked again
cancel: 424 | requires_payment_method | - | Stripe could not answer: 424: Scripted by the double: 424. | errors, asked again
cancel: 429 | requires_payment_method | - | Stripe could not answer: 429 rate_limit: Scripted by the double: 429. | errors, asked again
cancel: 429 lock_timeout | requires_payment_method | - | Stripe could not answer: 429 lock_timeout: Scripted by the double: 429. | errors, asked again
cancel: 500 | requires_payment_method | - | Stripe could not answer: 500: Scripted by the double: 500. | errors, asked again
cancel: 502 | requires_payment_method | - | Stripe could not answer: 502: Scripted by the double: 502. | errors, asked again
cancel: 503 | requires_payment_method | - | Stripe could not answer: 503: Scripted by the double: 503. | errors, asked again
cancel: no JSON | requires_payment_method | - | Stripe could not answer: 200: no message | errors, asked again
cancel: no answer | requires_payment_method | - | Stripe cannot be reached: the connection broke off | errors, asked again
cancel: 400 without a code | requires_payment_method | - | Stripe refused (400): Scripted by the double: 400. | errors
cancel: paid meanwhile | succeeded | - | - | payments_updated
cancel: processing meanwhile | processing | - | - | payments_updated
cancel: done, answer lost | canceled | set | - | payment_intents_canceled
";
