//! The double itself: what it delivers, retries, gives up and refuses.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jarvis_cron::demo::qstash_double::{Fate, TOKEN};
use jarvis_cron::outbound;
use serde_json::{Value, json};

use super::Connected;
use crate::app::{CRON_SECRET, JOB, PUBLIC_URL};

/// Publishes by hand, with headers like ours; answers status and body.
async fn publish(connected: &Connected, body: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let url = format!(
        "{}/v2/publish/{PUBLIC_URL}/api/cron/{JOB}",
        connected.qstash.url()
    );
    let http = outbound::client(std::time::Duration::from_secs(20)).unwrap();
    let mut request = http
        .post(url)
        .bearer_auth(TOKEN)
        .header("content-type", "application/json")
        .header(
            "upstash-forward-authorization",
            format!("Bearer {CRON_SECRET}"),
        )
        .body(body.to_owned());
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

fn text<'m>(headers: &'m HeaderMap, name: &str) -> &'m str {
    headers[name].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_fails_is_retried_and_then_its_callback_is_called() {
    let connected = Connected::new().await;
    connected
        .app
        .execute("alter table orders rename to away")
        .await;
    connected.deliver_here().await;
    let callback = format!("{PUBLIC_URL}/api/qstash/failures");
    let more = [
        ("upstash-retries", "2"),
        ("upstash-failure-callback", callback.as_str()),
        (
            "upstash-failure-callback-forward-authorization",
            "Bearer for-the-callback",
        ),
    ];

    let (status, published) = publish(&connected, "{}", &more).await;

    assert_eq!(status, 200, "{published}");
    connected.until_all_is_delivered().await;
    let messages = connected.qstash.messages();
    let [message, callback] = messages.as_slice() else {
        panic!("{messages:#?}");
    };
    let statuses: Vec<u16> = message
        .attempts
        .iter()
        .map(|attempt| attempt.status)
        .collect();
    assert_eq!(statuses, [500, 500, 500]);
    let Fate::Failed(dead_letter) = &message.fate else {
        panic!("{message:#?}");
    };
    assert_eq!(
        connected
            .app
            .count("select max(attempt) from job_runs")
            .await,
        3
    );
    assert_eq!(
        text(&callback.headers, "upstash-forward-authorization"),
        "Bearer for-the-callback"
    );
    let body: Value = serde_json::from_str(&callback.body).unwrap();
    let answer = STANDARD.decode(body["body"].as_str().unwrap()).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["status"], "failed");
    let bearer = format!("Bearer {CRON_SECRET}");
    let numbers = [&body["status"], &body["retried"], &body["maxRetries"]];
    assert_eq!(json!(numbers), json!([500, 2, 2]));
    assert_eq!(body["dlqId"], **dead_letter);
    assert_eq!(body["sourceMessageId"], published["messageId"]);
    assert_eq!(body["sourceBody"], STANDARD.encode("{}"));
    assert_eq!(body["sourceHeader"]["Authorization"], bearer);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_retry_can_mend_is_delivered_once() {
    let connected = Connected::new().await;
    connected.deliver_here().await;
    publish(&connected, r#"{"no_such_option": 1}"#, &[]).await;
    connected.until_all_is_delivered().await;
    let message = connected.qstash.messages().pop().unwrap();
    assert_eq!(message.attempts.len(), 1);
    assert_eq!(message.attempts[0].status, 489);
    assert!(matches!(message.fate, Fate::Failed(_)));
}

#[tokio::test]
async fn a_message_that_cannot_be_meant_is_refused() {
    let connected = Connected::new().await;
    for wrong in [
        ("upstash-retries", "many"),
        ("upstash-timeout", "soon"),
        ("upstash-method", "BREW"),
    ] {
        let (status, body) = publish(&connected, "{}", &[wrong]).await;
        assert_eq!(status, 400, "{wrong:?}");
        assert!(body["error"].is_string(), "{body}");
    }
    assert_eq!(connected.qstash.messages().len(), 0);
}

#[tokio::test]
async fn the_same_deduplication_id_is_one_message_for_ten_minutes() {
    let connected = Connected::new().await;
    let id = [("upstash-deduplication-id", "one")];
    let (first, made) = publish(&connected, "{}", &id).await;
    let (second, known) = publish(&connected, "{}", &id).await;
    assert_eq!((first, second), (200, 202));
    assert_eq!(
        known,
        json!({ "messageId": made["messageId"], "deduplicated": true })
    );
    connected.qstash.ten_minutes_pass();
    let (third, another) = publish(&connected, "{}", &id).await;
    assert_eq!(third, 200);
    assert_ne!(another["messageId"], made["messageId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_read_back_redacted_and_deleted_before_it_arrives() {
    let connected = Connected::new().await;
    let redacted = [("upstash-redact-fields", "header[Authorization]")];
    let (_, published) = publish(&connected, "{}", &redacted).await;
    let id = published["messageId"].as_str().unwrap();
    let url = format!("{}/v2/messages/{id}", connected.qstash.url());
    let http = outbound::client(std::time::Duration::from_secs(20)).unwrap();
    let read = http
        .get(&url)
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(read.contains("REDACTED:"), "{read}");
    assert!(!read.contains(CRON_SECRET), "{read}");

    let deleted = http.delete(&url).bearer_auth(TOKEN).send().await.unwrap();

    assert!(deleted.status().is_success());
    connected.deliver_here().await;
    assert_eq!(connected.qstash.messages()[0].fate, Fate::Canceled);
    let gone = http.get(&url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(gone.status().as_u16(), 404);
    assert_eq!(
        connected.app.count("select count(*) from job_runs").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_a_message_of_its_own_each_time() {
    let connected = Connected::new().await;
    connected.deliver_here().await;
    let url = format!(
        "{}/v2/schedules/{PUBLIC_URL}/api/cron/{JOB}",
        connected.qstash.url()
    );
    let http = outbound::client(std::time::Duration::from_secs(20)).unwrap();
    let made = http
        .post(url)
        .bearer_auth(TOKEN)
        .header("upstash-schedule-id", "jarvis-expire-stale-orders")
        .header("upstash-cron", "*/5 * * * *")
        .header(
            "upstash-forward-authorization",
            format!("Bearer {CRON_SECRET}"),
        )
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success());

    let ticks = [(); 2].map(|()| connected.qstash.tick("jarvis-expire-stale-orders"));

    assert_ne!(ticks[0], ticks[1]);
    assert_eq!(connected.qstash.tick("another"), None);
    connected.until_all_is_delivered().await;
    let from = "select count(*) from job_runs where schedule_id = 'jarvis-expire-stale-orders'";
    assert_eq!(connected.app.count(from).await, 2);
}
