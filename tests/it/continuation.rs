//! A run out of budget asks QStash for its rest: once, with the same options, and not for ever.

use std::time::Duration;

use jarvis_cron::demo::qstash_double::{ELSEWHERE_TOKEN, Fate, Fault};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::app::{App, CRON_SECRET, Delivery, JOB, PUBLIC_URL, Reply};
use crate::crashes::exactly::{assert_each_expired_once, statuses};
use crate::messages::Connected;

mod away;
mod killed;
mod places;
mod stops;
mod waits;

const PUBLISH: &str = "/v2/publish";

/// More orders than a second is enough for.
async fn a_backlog(connected: &Connected, orders: i32) {
    connected.app.stale_orders(orders, 3).await;
    connected.app.open_intents_for_all().await;
    connected.app.stripe.latency(Duration::from_millis(300));
}

/// Its runs have time to begin on a busy machine, and none to do all of a backlog.
async fn pressed_for_time() -> Connected {
    Connected::with(&[("RUN_BUDGET_SECONDS", "2")]).await
}

/// Stripe answers at once from now on, and a run has time enough.
fn hurry(connected: &mut Connected) {
    connected.app.stripe.latency(Duration::ZERO);
    connected.app.take_time();
}

fn not_continued(reply: &Reply) -> (&Value, &str) {
    let word = reply.body["not_continued"].as_str().unwrap_or_default();
    (&reply.body["continued"], word)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_continuations_drains_a_backlog() {
    let connected = Connected::with(&[("RUN_BUDGET_SECONDS", "2"), ("STRIPE_MAX_RPS", "60")]).await;
    let app = &connected.app;
    app.stale_orders(240, 3).await;
    app.open_intents_for_all().await;
    connected.deliver_here().await;

    let first = app.deliver(JOB).await;

    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    assert_eq!(first.body["continued"], true);
    connected.until_all_is_delivered().await;
    assert_each_expired_once(app, 240, 240, "by continuations").await;
    let runs = app
        .rows(
            "select r.chain_position = row_number() over (order by r.id) as in_order,
                    r.continuation_of is not distinct from lag(r.id) over (order by r.id) as linked,
                    r.published = lead(array[r.message_id], 1, '{}') over (order by r.id) as noted,
                    r.status
               from job_runs r
              order by r.id",
        )
        .await;
    let runs = runs.as_array().unwrap();
    assert!(runs.len() > 2, "{runs:#?}");
    for (link, run) in runs.iter().enumerate() {
        let status = if link + 1 < runs.len() {
            "partial"
        } else {
            "succeeded"
        };
        let expected = json!({ "in_order": true, "linked": true, "noted": true, "status": status });
        assert_eq!(*run, expected, "{link} of {runs:#?}");
    }
}

#[tokio::test]
async fn a_continuation_has_the_same_options_and_is_delivered_like_the_schedule() {
    let connected = pressed_for_time().await;
    a_backlog(&connected, 40).await;
    let body = r#"{"batch_size": 7, "limit": 39, "shard": {"index": 0, "count": 1}}"#;

    let first = Delivery::of(JOB).body(body).to(&connected.app).await;

    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    let messages = connected.qstash.messages();
    let [message] = messages.as_slice() else {
        panic!("{messages:#?}");
    };
    assert_eq!(first.body["continued"], true);
    assert_eq!(first.body["continuation_message_id"], message.id);
    assert_eq!(message.destination, format!("{PUBLIC_URL}/api/cron/{JOB}"));
    assert_eq!(
        serde_json::from_str::<Value>(&message.body).unwrap(),
        json!({ "batch_size": 7, "limit": 39, "shard": { "index": 0, "count": 1 },
                "continuation_of": first.body["run_id"] })
    );
    let bearer = format!("Bearer {CRON_SECRET}");
    let failures = format!("{PUBLIC_URL}/api/qstash/failures");
    for (name, value) in [
        ("upstash-method", "POST"),
        ("upstash-retries", "3"),
        ("upstash-timeout", "60s"),
        ("upstash-forward-authorization", &bearer),
        ("upstash-failure-callback", &failures),
        ("upstash-failure-callback-forward-authorization", &bearer),
        ("upstash-redact-fields", "header[Authorization]"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(message.header(name), Some(value), "{name}");
    }
    let run_id = first.body["run_id"].as_str().unwrap();
    let deduplication = message.header("upstash-deduplication-id").unwrap();
    assert!(deduplication.contains(run_id), "{deduplication}");
}

#[tokio::test]
async fn operators_see_the_chain() {
    let mut connected = pressed_for_time().await;
    a_backlog(&connected, 40).await;
    let first = connected.app.operate(JOB, "batch_size=5").await;
    assert_eq!(first.body["continued"], true, "{first:?}");
    hurry(&mut connected);
    let replies = connected.follow(first).await;
    assert_eq!(replies.len(), 2, "{replies:?}");

    let [before, after] = [
        connected.run_of(&replies[0]).await,
        connected.run_of(&replies[1]).await,
    ];

    assert_eq!(before["children"], json!([replies[1].body["run_id"]]));
    assert_eq!(before["published"], json!([after["message_id"]]));
    assert_eq!(
        (&before["chain_position"], &before["trigger"]),
        (&json!(1), &json!("operator"))
    );
    assert_eq!(after["continuation_of"], replies[0].body["run_id"]);
    assert_eq!(
        (&after["chain_position"], &after["children"]),
        (&json!(2), &json!([]))
    );
    assert_eq!(after["status"], "succeeded");
}

#[tokio::test]
async fn a_continuation_that_meets_a_live_run_ends_the_chain() {
    let connected = pressed_for_time().await;
    a_backlog(&connected, 40).await;
    let first = connected.app.deliver(JOB).await;
    let message = connected.qstash.messages().pop().unwrap();
    connected
        .app
        .execute("update job_leases set expires_at = now() + interval '50 seconds', run_id = gen_random_uuid()")
        .await;

    let reply = connected.hand_over(&message).await;

    assert_eq!(reply.outcome(), (200, "skipped"), "{reply:?}");
    assert_eq!(reply.body["code"], "already_running");
    assert_eq!(
        reply.results()["then"],
        "the chain ends here: the run that is alive does the work"
    );
    assert_eq!(connected.qstash.messages().len(), 1);
    let first = connected.run_of(&first).await;
    assert_eq!(first["children"], json!([reply.body["run_id"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continuation_that_fails_is_tried_again_and_goes_on() {
    let mut connected = pressed_for_time().await;
    a_backlog(&connected, 40).await;
    connected.app.deliver(JOB).await;
    hurry(&mut connected);
    let app = &connected.app;
    app.execute("alter table order_expirations rename to gone")
        .await;
    connected.deliver_here().await;
    crate::processes::until("it has failed once", async || {
        statuses(app).await.contains(&"failed".to_owned())
    })
    .await;
    app.execute("alter table gone rename to order_expirations")
        .await;
    connected.until_all_is_delivered().await;

    assert_each_expired_once(app, 40, 40, "tried again").await;
    let messages = connected.qstash.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].fate, Fate::Delivered);
    let positions = app
        .count("select count(*) from job_runs where chain_position = 2")
        .await;
    assert_eq!(
        positions,
        i64::try_from(messages[0].attempts.len()).unwrap()
    );
}
