//! The whole way, with the QStash double's own deliveries: retries, callback,
//! alert, recovery.

use jarvis_cron::config::Settings;
use jarvis_cron::demo::qstash_double::{Courier, Fate};
use jarvis_cron::http;
use jarvis_cron::qstash::client::{self, Client};
use jarvis_cron::qstash::schedules::Schedules;
use tokio::net::TcpListener;

use super::*;
use crate::app::{CRON_SECRET, CURRENT_KEY};
use crate::messages::Connected;
use crate::processes::until;

/// Lets the double deliver, with all of QStash's waits within a second.
async fn deliver(connected: &Connected) {
    let app = &connected.app;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, tasks) = (app.runner.stop.clone(), app.runner.tasks.clone());
    let router = app.router.clone();
    tokio::spawn(http::edge::serve(listener, router, stop, tasks));
    let courier = Courier {
        signing_key: CURRENT_KEY.to_owned().into(),
        public_url: PUBLIC_URL.to_owned(),
        replicas: vec![url],
        hurry: 2_000,
        parallelism: 4,
    };
    connected.qstash.deliver(courier).unwrap();
}

/// Publishes a message to the job, delivered as its schedule is, and waits
/// until there are so many messages and each has come to an end.
async fn publish(connected: &Connected, name: &str, messages: usize) {
    let settings = Settings::none().with(connected.app.settings.clone());
    let client = Client::new(settings.qstash().unwrap().unwrap()).unwrap();
    let destination = settings.destination(false).unwrap();
    let schedule = Schedules::deployed().of(JOB).unwrap();
    let message = client::Message {
        destination: destination.of(JOB),
        headers: destination.headers(&schedule.delivery).unwrap(),
        body: "{}".to_owned(),
        deduplication_id: name.to_owned(),
    };
    client.publish(&message).await.unwrap();
    until("every message has come to an end", async || {
        let all = connected.qstash.messages();
        all.len() == messages && all.iter().all(|message| message.fate != Fate::Waiting)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_retries_then_the_callback_then_the_alert_and_a_success_ends_it() {
    let connected = Connected::new().await;
    let app = &connected.app;
    deliver(&connected).await;
    break_the_job(app).await;

    publish(&connected, "first", 2).await;

    let [message, callback] = <[_; 2]>::try_from(connected.qstash.messages()).unwrap();
    assert_eq!(message.attempts.len(), 4);
    let Fate::Failed(dead_letter) = &message.fate else {
        panic!("{message:#?}");
    };
    assert_eq!(callback.fate, Fate::Delivered, "{callback:#?}");
    assert_eq!(callback.destination, format!("{PUBLIC_URL}{ROUTE}"));
    let runs = app
        .rows("select attempt, status, message_id from job_runs order by attempt")
        .await;
    let failed =
        |attempt| json!({ "attempt": attempt, "status": "failed", "message_id": message.id });
    assert_eq!(runs, json!([failed(1), failed(2), failed(3), failed(4)]));
    let row = app
        .rows(
            "select source_message_id, counts_for, status, retried, dlq_id, options,
                    response like '{\"success\":false,%\"status\":\"failed\"%…' as as_answered
               from delivery_failures",
        )
        .await;
    assert_eq!(
        row,
        json!([{ "source_message_id": message.id, "counts_for": SCHEDULE, "status": 500, "retried": 3,
                 "dlq_id": dead_letter, "options": {}, "as_answered": true }])
    );
    assert_eq!(alerts(app).await, an_alert(SCHEDULE, "open", 1));
    // The secret came along, and was not kept.
    assert!(callback.body.contains(CRON_SECRET), "{callback:#?}");
    let kept = app
        .rows("select f::text, (select string_agg(l::text, '') from system_logs l) from delivery_failures f")
        .await;
    assert!(!kept.to_string().contains(CRON_SECRET), "{kept}");

    fix_the_job(app).await;
    publish(&connected, "second", 3).await;

    assert_eq!(alerts(app).await, an_alert(SCHEDULE, "resolved", 1));
    let log = app
        .rows(
            "select message from system_logs where log_type = 'cron_schedule_failing' order by id",
        )
        .await;
    assert_eq!(log[1]["message"], "expire-stale-orders works again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_meets_no_database_comes_again() {
    let connected = Connected::new().await;
    let app = &connected.app;
    deliver(&connected).await;
    break_the_job(app).await;
    app.execute("alter table delivery_failures rename to failures_away")
        .await;

    let fixing = async {
        until("a callback was refused", async || {
            let all = connected.qstash.messages();
            all.len() == 2 && !all[1].attempts.is_empty()
        })
        .await;
        app.execute("alter table failures_away rename to delivery_failures")
            .await;
    };
    tokio::join!(publish(&connected, "first", 2), fixing);

    let callback = &connected.qstash.messages()[1];
    assert_eq!(callback.fate, Fate::Delivered, "{callback:#?}");
    assert!(callback.attempts.len() > 1, "{callback:#?}");
    assert_eq!(alerts(app).await, an_alert(SCHEDULE, "open", 1));
}
