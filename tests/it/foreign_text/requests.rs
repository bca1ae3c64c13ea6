//! What callers say of themselves and of their options.

use axum::http::Method;
use serde_json::json;

use super::found::{Log, assert_harmless, collect, texts_of_rows};
use super::{KEY, MARK};
use crate::app::{App, JOB, OPERATOR_SECRET};

fn as_operator(more: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let bearer = ("authorization", format!("Bearer {OPERATOR_SECRET}"));
    [bearer].into_iter().chain(more.iter().cloned()).collect()
}

#[tokio::test]
async fn who_calls_and_why_is_kept_without_secrets() {
    let app = App::with(&[("STRIPE_SECRET_KEY", KEY)]).await;
    let who = format!("{MARK} {KEY} {}", "x".repeat(400));
    let headers = as_operator(&[("x-actor", who.clone()), ("x-reason", who)]);
    let log = Log::begin();

    let reply = app
        .call(Method::POST, &format!("/api/cron/{JOB}"), &headers, "")
        .await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let pause = format!("/api/jobs/{JOB}/pause");
    let headers = as_operator(&[
        ("x-actor", format!("{MARK} {KEY}")),
        ("content-type", "application/json".to_owned()),
    ]);
    let body = json!({ "reason": format!("{MARK} {KEY}") }).to_string();
    let reply = app.call(Method::POST, &pause, &headers, body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let reply = app.call(Method::DELETE, &pause, &headers, "").await;
    assert_eq!(reply.status, 200, "{reply:?}");

    let rows = texts_of_rows(&app).await;
    // The run's actor and reason, the pause's, and those of two audit events.
    assert_eq!(assert_harmless(&rows), 9, "{rows:#?}");
    // The pause's actor and reason, and who ended it.
    assert_eq!(assert_harmless(&log.texts()), 3, "{:?}", log.texts());
}

#[tokio::test]
async fn options_that_are_refused_are_quoted_shortly() {
    let app = App::with(&[("STRIPE_SECRET_KEY", KEY)]).await;
    let json = ("content-type", "application/json".to_owned());
    let log = Log::begin();
    let words = format!("{MARK} {KEY} {}", "x".repeat(20_000));
    for (path, body) in [
        (format!("/api/cron/{JOB}"), json!({ &words: 1 })),
        (format!("/api/cron/{JOB}"), json!({ "limit": words })),
        (format!("/api/jobs/{JOB}/pause"), json!({ &words: 1 })),
        (format!("/api/jobs/{JOB}/pause"), json!({ "until": words })),
    ] {
        let headers = as_operator(std::slice::from_ref(&json));

        let reply = app
            .call(Method::POST, &path, &headers, body.to_string())
            .await;

        assert_eq!(reply.status, 422, "{reply:?}");
        let mut answer = Vec::new();
        collect(&reply.body, &mut answer);
        assert_eq!(assert_harmless(&answer), 1, "{reply:?}");
    }
    assert_eq!(assert_harmless(&log.texts()), 4, "{:?}", log.texts());
}

#[tokio::test]
async fn the_address_that_is_asked_for_is_logged_without_secrets() {
    let app = App::with(&[("STRIPE_SECRET_KEY", KEY)]).await;
    let log = Log::begin();
    let far = format!("{}{KEY}", "x".repeat(190));
    for path in [KEY, &far, "\u{202e}\u{200b}"] {
        let path = format!("/{MARK}/{path}");
        let reply = app.call(Method::GET, &path, &[], "").await;
        assert_eq!(reply.status, 404, "{reply:?}");
    }
    assert_eq!(assert_harmless(&log.texts()), 3, "{:?}", log.texts());
}

#[tokio::test]
async fn a_panic_is_logged_like_the_words_of_others_with_its_place() {
    let _app = App::with(&[("STRIPE_SECRET_KEY", KEY)]).await;
    let log = Log::begin();
    let former = std::panic::take_hook();
    jarvis_cron::telemetry::log_panics();

    let panicked = std::panic::catch_unwind(|| panic!("{}", super::nasty(1_000)));

    std::panic::set_hook(former);
    assert!(panicked.is_err());
    let texts = log.texts();
    assert_eq!(assert_harmless(&texts), 1, "{texts:?}");
    let has = |text: &str| texts.iter().any(|it| it.contains(text));
    assert!(has("Panicked") && has(file!()), "{texts:?}");
}
