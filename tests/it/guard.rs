//! Who may call, and how everybody else is refused.

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use jarvis_cron::qstash::signature;
use rstest::rstest;
use serde_json::json;

use crate::app::{
    App, CRON_SECRET, CURRENT_KEY, Delivery, JOB, NEXT_KEY, OPERATOR_SECRET, PUBLIC_URL, Reply,
};

mod refused;
mod regions;
mod unread;

const ROUTE: &str = "/api/cron/expire-stale-orders";
const PREVIOUS_SECRET: &str = "cron-previous-8c1e4b7a2d9f6035c8e1b4a7d0f3962e";

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

/// A token for an empty body sent to `url`, good for years.
fn token(key: &str, url: &str) -> String {
    let later = "2037-12-01T00:00:00Z".parse().unwrap();
    signature::sign(&key.into(), url, b"", later).unwrap()
}

/// Sends these headers, and nothing besides, to the job's route.
async fn post(app: &App, headers: &[(&str, &[u8])]) -> Reply {
    let mut request = Request::post(ROUTE);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
    }
    app.request(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_scheduler_is_served_with_both_its_credentials() {
    let app = App::new().await;
    let delivery = Delivery::of(JOB)
        .message("msg_7")
        .header("upstash-schedule-id", "jarvis-expire-stale-orders")
        .header("x-actor", "an actor");

    let reply = delivery.to(&app).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let rows = app.rows(
        "select trigger, actor, message_id, schedule_id, signature_jti like 'jwt_%' as signed from job_runs",
    );
    assert_eq!(
        rows.await,
        json!([{
            "trigger": "qstash", "actor": null, "message_id": "msg_7",
            "schedule_id": "jarvis-expire-stale-orders", "signed": true,
        }])
    );
}

#[tokio::test]
async fn the_cron_secret_alone_opens_nothing() {
    let app = App::new().await;
    let reply = post(&app, &[("authorization", bearer(CRON_SECRET).as_bytes())]).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_signature_alone_opens_nothing() {
    let app = App::new().await;
    let reply = Delivery::of(JOB).without("authorization").to(&app).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[rstest]
#[case::bearer("Bearer")]
#[case::lower("bearer")]
#[case::upper("BEARER")]
#[tokio::test]
async fn the_scheme_may_be_written_in_any_case(#[case] scheme: &str) {
    let app = App::new().await;
    let value = format!("{scheme} {CRON_SECRET}");
    let delivery = Delivery::of(JOB).without("authorization");
    let reply = delivery.header("authorization", &value).to(&app).await;
    assert_eq!(reply.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn the_secret_before_the_rotation_still_opens_and_needs_the_signature_too() {
    let app = App::with(&[("CRON_SECRET_PREVIOUS", PREVIOUS_SECRET)]).await;
    let rotated = Delivery::of(JOB)
        .without("authorization")
        .header("authorization", &bearer(PREVIOUS_SECRET));

    assert_eq!(rotated.to(&app).await.outcome(), (200, "succeeded"));
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
    let alone = [("authorization", bearer(PREVIOUS_SECRET))];
    let alone = alone
        .each_ref()
        .map(|(name, value)| (*name, value.as_bytes()));
    assert_eq!(post(&app, &alone).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_next_key_is_accepted() {
    let app = App::new().await;
    let delivery = Delivery {
        key: NEXT_KEY.to_owned(),
        ..Delivery::of(JOB)
    };
    assert_eq!(delivery.to(&app).await.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn an_operator_needs_no_signature_and_is_remembered_by_name_and_reason() {
    let app = App::new().await;
    let secret = bearer(OPERATOR_SECRET);
    let long = "é".repeat(700);
    let reply = post(
        &app,
        &[
            ("authorization", secret.as_bytes()),
            ("x-actor", "Zoé Lefèvre".as_bytes()),
            ("x-reason", long.as_bytes()),
            ("upstash-message-id", b"msg_of_somebody_else"),
            ("upstash-signature", b"not a token"),
        ],
    )
    .await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let rows = app
        .rows("select trigger, actor, reason, message_id, signature_jti from job_runs")
        .await;
    assert_eq!(
        rows,
        json!([{
            "trigger": "operator", "actor": "Zoé Lefèvre", "reason": "é".repeat(299) + "…",
            "message_id": null, "signature_jti": null,
        }])
    );
}

#[tokio::test]
async fn without_an_operator_secret_there_is_no_operator_path() {
    let app = App::with(&[("OPERATOR_SECRET", "")]).await;
    for secret in [OPERATOR_SECRET, "", "undefined"] {
        let reply = post(&app, &[("authorization", bearer(secret).as_bytes())]).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{secret:?}");
    }
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn a_delivery_with_options_in_its_query_is_signed_for_them() {
    let app = App::new().await;
    let mut delivery = Delivery::of(JOB);
    delivery.path += "?dry_run=true&limit=5";
    let reply = delivery.to(&app).await;
    assert_eq!(reply.outcome(), (200, "succeeded"));
    assert_eq!(reply.body["dry_run"], true);
}

#[tokio::test]
async fn where_the_request_came_in_plays_no_part() {
    let app = App::with(&[("PUBLIC_URL", "https://cron.example.test/")]).await;
    let delivery = Delivery::of(JOB)
        .header("host", "10.0.0.7:8080")
        .header("x-forwarded-host", "elsewhere.test")
        .header("x-forwarded-proto", "http");
    assert_eq!(delivery.to(&app).await.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn a_service_below_a_path_is_signed_for_with_that_path() {
    let app = App::with(&[("PUBLIC_URL", "https://cron.example.test/jarvis")]).await;
    let below = token(CURRENT_KEY, &format!("{PUBLIC_URL}/jarvis{ROUTE}"));
    let delivery = Delivery::of(JOB);
    assert_eq!(delivery.to(&app).await.status, StatusCode::UNAUTHORIZED);
    let delivery = Delivery {
        token: Some(below),
        ..delivery
    };
    assert_eq!(delivery.to(&app).await.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn without_verification_the_cron_secret_suffices_and_is_still_needed() {
    let off = [
        ("QSTASH_VERIFY", "off"),
        ("PUBLIC_URL", ""),
        ("QSTASH_CURRENT_SIGNING_KEY", ""),
        ("QSTASH_NEXT_SIGNING_KEY", ""),
    ];
    let app = App::with(&off).await;
    let secret = bearer(CRON_SECRET);
    let reply = post(&app, &[("authorization", secret.as_bytes())]).await;
    assert_eq!(reply.outcome(), (200, "succeeded"));
    assert_eq!(post(&app, &[]).await.status, StatusCode::UNAUTHORIZED);
    let rows = app.rows("select trigger from job_runs").await;
    assert_eq!(rows, json!([{ "trigger": "qstash" }]));
}
