//! Callbacks that are wrong, foreign or forged, and secrets in them.

use axum::body::Body;
use axum::http::Method;
use rstest::rstest;

use super::*;
use crate::app::{CRON_SECRET, CURRENT_KEY, NEXT_KEY, OPERATOR_SECRET};

async fn is_empty(app: &App) -> bool {
    let all = "select (select count(*) from delivery_failures) + (select count(*) from alerts)
                    + (select count(*) from system_logs)";
    app.count(all).await == 0
}

#[rstest]
#[case::nothing("")]
#[case::no_json("{")]
#[case::two("{} {}")]
#[case::a_list("[1]")]
#[case::a_text("\"Bearer of news\"")]
#[case::twice(r#"{"sourceMessageId":"msg_1","sourceMessageId":"msg_2"}"#)]
#[case::no_message("{}")]
#[case::a_number(r#"{"sourceMessageId":7}"#)]
#[case::empty(r#"{"sourceMessageId":""}"#)]
#[case::two_lines(r#"{"sourceMessageId":"msg_1\nmsg_2"}"#)]
#[case::foreign(r#"{"sourceMessageId":"msg_1"}"#)]
#[tokio::test]
async fn what_no_retry_can_fix_ends_qstash_s_retries(#[case] body: &str) {
    let app = App::new().await;
    let mut delivery = telling(&json!({}));
    body.clone_into(&mut delivery.body);

    let reply = delivery.to(&app).await;

    assert_eq!(reply.status.as_u16(), 489, "{reply:?}");
    assert_eq!(reply.headers["upstash-nonretryable-error"], "true");
    assert_eq!(reply.body["code"], "bad_callback");
    assert!(!reply.text.contains("Bearer of news"), "{reply:?}");
    assert!(is_empty(&app).await);
}

#[rstest]
#[case::unknown_job(json!({ "url": "https://cron.example.test/api/cron/mow-the-lawn" }))]
#[case::other_host(json!({ "url": "https://cron.example.test.evil.test/api/cron/expire-stale-orders" }))]
#[case::other_path(json!({ "url": "https://cron.example.test/expire-stale-orders" }))]
#[case::no_url(json!({ "url": null }))]
#[case::unknown_schedule(json!({ "url": null, "scheduleId": "scd_of_another_service" }))]
#[case::too_long_an_id(json!({ "sourceMessageId": "m".repeat(201) }))]
#[tokio::test]
async fn a_message_of_another_service_is_refused(#[case] changes: Value) {
    let app = App::new().await;
    let foreign = with(callback("msg_1"), &json!({ "scheduleId": null }));
    let reply = tell(&app, &with(foreign, &changes)).await;
    assert_eq!(reply.status.as_u16(), 489, "{reply:?}");
    assert!(is_empty(&app).await);
}

#[rstest]
#[case::an_old_address(json!({ "url": "https://old.example.test/api/cron/expire-stale-orders" }))]
#[case::no_address(json!({ "url": null }))]
#[tokio::test]
async fn a_schedule_of_ours_names_the_job_where_the_address_does_not(#[case] changes: Value) {
    let app = App::new().await;
    assert_eq!(
        noted(&app, &with(callback("msg_1"), &changes)).await,
        "opened"
    );
    let rows = app.rows("select job from delivery_failures").await;
    assert_eq!(rows, json!([{ "job": JOB }]));
}

#[rstest]
#[case::as_text(
    json!({ "status": "503", "retried": "3", "maxRetries": "3" }),
    json!({ "status": 503, "retried": 3, "max_retries": 3 }),
)]
#[case::absurd(
    json!({ "status": 1e300, "retried": -1, "maxRetries": 9_223_372_036_854_775_807_i64,
            "createdAt": "99999999999999999999", "notBefore": -5 }),
    json!({ "status": null, "retried": null, "max_retries": null }),
)]
#[case::of_other_types(
    json!({ "status": [], "retried": {}, "maxRetries": true, "body": 7, "sourceBody": {},
            "dlqId": ["x"], "createdAt": {}, "notBefore": [], "sourceHeader": "a string" }),
    json!({ "status": null, "retried": null, "response": null, "options": null, "dlq_id": null }),
)]
#[case::no_base64(
    json!({ "body": "%%%", "sourceBody": "%%%" }),
    json!({ "response": null, "options": null }),
)]
#[case::cut_off(
    json!({ "body": STANDARD.encode("0123456789")[..11], "sourceBody": STANDARD.encode("{\"limit\":5}")[..9] }),
    json!({ "response": "01234567", "options": null }),
)]
#[case::unpadded_and_url_safe(
    json!({ "body": "w78_Pz4-", "sourceBody": "e30" }),
    json!({ "response": "ÿ??>>", "options": {} }),
)]
#[case::no_text(
    json!({ "body": STANDARD.encode([0xff, 0, 0x41]) }),
    json!({ "response": "\u{fffd}A" }),
)]
#[case::foreign_options(
    json!({ "sourceBody": STANDARD.encode(r#"{"limit":5,"note":"of somebody"}"#) }),
    json!({ "options": null }),
)]
#[case::options(
    json!({ "sourceBody": STANDARD.encode(r#"{"limit":5}"#) }),
    json!({ "options": { "limit": 5 } }),
)]
#[case::missing(
    json!({ "status": null, "body": null, "retried": null, "maxRetries": null, "dlqId": null,
            "sourceBody": null, "createdAt": null, "notBefore": null, "sourceHeader": null }),
    json!({ "status": null, "response": null, "options": null }),
)]
#[case::a_query_in_the_address(
    json!({ "url": "https://cron.example.test/api/cron/expire-stale-orders?limit=5#x" }),
    json!({ "url": "https://cron.example.test/api/cron/expire-stale-orders" }),
)]
#[tokio::test]
async fn what_is_of_no_use_does_not_hide_that_a_message_failed(
    #[case] changes: Value,
    #[case] stored: Value,
) {
    let app = App::new().await;
    assert_eq!(
        noted(&app, &with(callback("msg_1"), &changes)).await,
        "opened"
    );
    let row = app.rows("select * from delivery_failures").await;
    for (column, value) in stored.as_object().unwrap() {
        assert_eq!(row[0][column], *value, "{column}");
    }
}

#[tokio::test]
async fn a_large_answer_is_cut_off_and_a_larger_one_is_not_read() {
    let app = App::new().await;
    let large = |bytes: usize| json!({ "body": STANDARD.encode("é".repeat(bytes / 2)) });
    let reply = tell(&app, &with(callback("msg_1"), &large(1024 * 1024))).await;
    assert_eq!(reply.outcome(), (200, "opened"));
    let length = "select max(length(response)) from delivery_failures";
    assert_eq!(app.count(length).await, 300);

    let reply = tell(&app, &with(callback("msg_2"), &large(2 * 1024 * 1024))).await;

    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(app.count("select count(*) from delivery_failures").await, 1);
}

#[tokio::test]
async fn no_secret_is_kept() {
    let app = App::new().await;
    let echo = format!(
        r#"{{"authorization":"Bearer {CRON_SECRET}","cookie":"{OPERATOR_SECRET}",
            "keys":["{CURRENT_KEY}","{NEXT_KEY}"],"half":"bearer {}"}}"#,
        &CRON_SECRET[..20],
    );
    let callback = with(
        callback("msg_1"),
        &json!({
            "body": STANDARD.encode(echo),
            "sourceHeader": { "Authorization": [format!("Bearer {CRON_SECRET}")] },
            "header": { "X-Echo": CRON_SECRET },
            "topicName": CRON_SECRET,
            "sourceBody": STANDARD.encode(format!(r#"{{"note":"{CRON_SECRET}"}}"#)),
        }),
    );

    let reply = tell(&app, &callback).await;

    assert_eq!(reply.outcome(), (200, "opened"));
    let kept = app
        .rows(
            "select (select jsonb_agg(f) from delivery_failures f) as failures,
                    (select jsonb_agg(a) from alerts a) as alerts,
                    (select jsonb_agg(l) from system_logs l) as logs",
        )
        .await
        .to_string();
    assert!(kept.contains("[secret]"), "{kept}");
    for secret in [&CRON_SECRET[..20], OPERATOR_SECRET, CURRENT_KEY, NEXT_KEY] {
        assert!(!kept.contains(secret), "{kept}");
        assert!(!reply.text.contains(secret), "{reply:?}");
    }
}

#[tokio::test]
async fn no_secret_is_kept_of_an_answer_in_two_bytes_a_character() {
    let app = App::new().await;
    let words = format!("authorization: Bearer {CRON_SECRET}, key {CURRENT_KEY}");
    let answer: Vec<u8> = words.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let callback = with(
        callback("msg_1"),
        &json!({ "body": STANDARD.encode(answer) }),
    );

    assert_eq!(noted(&app, &callback).await, "opened");

    let kept = app.rows("select response from delivery_failures").await;
    assert_eq!(
        kept,
        json!([{ "response": "authorization: Bearer [secret], key [secret]" }])
    );
}

#[tokio::test]
async fn only_the_scheduler_may_tell() {
    let app = App::new().await;
    let callback = callback("msg_1");
    let with_bearer = |secret: &str| {
        let delivery = telling(&callback).without("authorization");
        delivery.header("authorization", &format!("Bearer {secret}"))
    };
    let mut for_another_route = telling(&callback);
    for_another_route.token = Some(Delivery::of(JOB).body(&callback.to_string()).sign());
    let mut of_another_body = telling(&callback);
    of_another_body.token = Some(telling(&json!({})).sign());
    for delivery in [
        with_bearer(OPERATOR_SECRET),
        with_bearer("unknown"),
        telling(&callback).without("authorization"),
        for_another_route,
        of_another_body,
    ] {
        let reply = delivery.to(&app).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{delivery:?}");
        assert_eq!(reply.body["code"], "unauthorized");
        assert!(reply.body.get("message").is_none());
    }
    // The secret alone, without a signature.
    let headers = [("authorization", format!("Bearer {CRON_SECRET}"))];
    let body = Body::from(callback.to_string());
    let reply = app.call(Method::POST, ROUTE, &headers, body).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(is_empty(&app).await);
}

#[tokio::test]
async fn without_verification_the_secret_alone_suffices() {
    let unsigned = [("QSTASH_VERIFY", "off"), ("PUBLIC_URL", "")];
    let app = App::with(&unsigned).await;
    let headers = [("authorization", format!("Bearer {CRON_SECRET}"))];
    let body = Body::from(callback("msg_1").to_string());
    let reply = app.call(Method::POST, ROUTE, &headers, body).await;
    assert_eq!(reply.outcome(), (200, "opened"), "{reply:?}");
}

#[tokio::test]
async fn qstash_learns_that_the_database_is_away() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://x@{}/x", closed.local_addr().unwrap());
    drop(closed);
    let app = App::with(&[("DATABASE_URL", &url)]).await;
    tokio::time::pause();
    let reply = tell(&app, &callback("msg_1")).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{reply:?}");
    assert!(reply.headers.contains_key("retry-after"));
}
