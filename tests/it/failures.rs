//! What QStash has given up on: written down once, alerted about until the
//! schedule works again.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::app::{App, Delivery, JOB, PUBLIC_URL, Reply, now};

mod alert;
mod chains;
mod delivered;
mod handed_out;
mod hostile;
mod late;

const ROUTE: &str = "/api/qstash/failures";
const SCHEDULE: &str = "jarvis-expire-stale-orders";

/// What QStash says of a message of the job's schedule.
fn callback(message: &str) -> Value {
    let created = now().timestamp_millis().to_string();
    json!({
        "status": 500,
        "header": { "Content-Type": ["application/json"] },
        "body": STANDARD.encode(r#"{"success":false,"status":"failed"}"#),
        "retried": 3,
        "maxRetries": 3,
        "dlqId": "1725323658779-0",
        "sourceMessageId": message,
        "url": format!("{PUBLIC_URL}/api/cron/{JOB}"),
        "method": "POST",
        "sourceHeader": { "Content-Type": ["application/json"] },
        "sourceBody": STANDARD.encode("{}"),
        "notBefore": created,
        "createdAt": created,
        "scheduleId": SCHEDULE,
        "callerIP": "203.0.113.7",
    })
}

/// The same with some fields replaced; null takes one away.
fn with(mut callback: Value, changes: &Value) -> Value {
    let fields = callback.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => fields.remove(name),
            value => fields.insert(name.clone(), value.clone()),
        };
    }
    callback
}

/// A delivery of that callback, as QStash makes it.
fn telling(callback: &Value) -> Delivery {
    let mut delivery = Delivery::of(JOB).body(&callback.to_string());
    ROUTE.clone_into(&mut delivery.path);
    delivery
}

async fn tell(app: &App, callback: &Value) -> Reply {
    telling(callback).to(app).await
}

/// Tells of a message, and answers what came of it.
async fn noted(app: &App, callback: &Value) -> String {
    let reply = tell(app, callback).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.body["status"].as_str().unwrap().to_owned()
}

/// A tick of the schedule.
fn tick(message: &str) -> Delivery {
    Delivery::of(JOB)
        .message(message)
        .header("upstash-schedule-id", SCHEDULE)
}

/// From now on every run fails, until it is fixed.
async fn break_the_job(app: &App) {
    app.execute("alter table orders rename to orders_away")
        .await;
}

async fn fix_the_job(app: &App) {
    app.execute("alter table orders_away rename to orders")
        .await;
}

/// Status and number of messages of every alert.
async fn alerts(app: &App) -> Value {
    app.rows(
        "select dedup_key, status, occurrences from alerts
          where kind = 'schedule_failing' order by opened_at",
    )
    .await
}

fn an_alert(schedule: &str, status: &str, occurrences: u32) -> Value {
    json!([{
        "dedup_key": format!("schedule_failing:{schedule}"),
        "status": status,
        "occurrences": occurrences,
    }])
}

#[tokio::test]
async fn a_failing_job_goes_from_its_retries_to_an_alert_and_back() {
    let app = App::new().await;
    break_the_job(&app).await;
    for retried in 0..=3 {
        let attempt = tick("msg_1").header("upstash-retried", &retried.to_string());
        assert_eq!(attempt.to(&app).await.outcome(), (500, "failed"));
    }

    let reply = tell(&app, &callback("msg_1")).await;

    assert_eq!(reply.outcome(), (200, "opened"), "{reply:?}");
    let row = app
        .rows(
            "select source_message_id, job, schedule_id, status, retried, max_retries, dlq_id, url,
                    response, options, mended_by,
                    failed_at = (select max(started_at) from job_runs) as as_the_ledger_says
               from delivery_failures",
        )
        .await;
    assert_eq!(
        row,
        json!([{
            "source_message_id": "msg_1", "job": JOB, "schedule_id": SCHEDULE, "status": 500,
            "retried": 3, "max_retries": 3, "dlq_id": "1725323658779-0",
            "url": format!("{PUBLIC_URL}/api/cron/{JOB}"),
            "response": r#"{"success":false,"status":"failed"}"#, "options": {}, "mended_by": null,
            "as_the_ledger_says": true,
        }])
    );
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "open", 1));

    fix_the_job(&app).await;
    let reply = tick("msg_2").to(&app).await;

    assert_eq!(reply.outcome(), (200, "succeeded"));
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 1));
    let recovered = app
        .rows("select mended_by, mended_at is not null as dated from delivery_failures")
        .await;
    assert_eq!(
        recovered,
        json!([{ "mended_by": reply.body["run_id"], "dated": true }])
    );
    let log = app
        .rows(
            "select level, message, details ->> 'alert' as alert, run_id is not null as by_a_run
               from system_logs where log_type = 'cron_schedule_failing' order by id",
        )
        .await;
    assert_eq!(
        log,
        json!([
            { "level": "error", "alert": "opened", "by_a_run": false,
              "message": "QStash has given up on expire-stale-orders after 4 attempts (500)" },
            { "level": "info", "alert": "resolved", "by_a_run": true,
              "message": "expire-stale-orders works again" },
        ])
    );
}

#[tokio::test]
async fn the_alert_says_what_to_do() {
    let app = App::new().await;
    noted(&app, &callback("msg_1")).await;
    let alert = app
        .rows("select gym_id, severity, title, details, recommended_actions from alerts")
        .await;
    let alert = &alert[0];
    assert_eq!(alert["gym_id"], Value::Null);
    assert_eq!(alert["severity"], "high");
    assert_eq!(alert["title"], "QStash has given up on expire-stale-orders");
    assert_eq!(
        alert["details"],
        json!({ "job": JOB, "schedule_id": SCHEDULE, "last_message_id": "msg_1", "last_status": 500,
                "last_response": r#"{"success":false,"status":"failed"}"#, "attempts": 4,
                "dlq_id": "1725323658779-0" })
    );
    let actions = alert["recommended_actions"].to_string();
    for word in ["GET /api/runs/", "doctor", "POST /api/cron/", "DLQ"] {
        assert!(actions.contains(word), "{word} is not in {actions}");
    }
}

#[tokio::test]
async fn a_message_counts_once_however_often_it_is_reported() {
    let app = App::new().await;
    assert_eq!(noted(&app, &callback("msg_1")).await, "opened");
    assert_eq!(noted(&app, &callback("msg_1")).await, "known");
    assert_eq!(noted(&app, &callback("msg_2")).await, "bumped");
    assert_eq!(noted(&app, &callback("msg_1")).await, "known");

    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "open", 2));
    let rows = "select count(*) from delivery_failures";
    assert_eq!(app.count(rows).await, 2);
    let lines = "select count(*) from system_logs";
    assert_eq!(app.count(lines).await, 2);
}

#[tokio::test]
async fn reported_at_the_same_time_it_still_counts_once() {
    let app = App::with(&[("DATABASE_MAX_CONNECTIONS", "12")]).await;
    let callbacks = [callback("msg_1"), callback("msg_2")];
    let telling = callbacks.iter().cycle().take(12);
    let telling = telling.map(|callback| noted(&app, callback));

    let mut noted = futures::future::join_all(telling).await;

    noted.sort();
    let mut expected = vec!["known"; 10];
    expected.splice(0..0, ["bumped"]);
    expected.push("opened");
    assert_eq!(noted, expected);
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "open", 2));
}
