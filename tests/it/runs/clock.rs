//! A database whose clock was set back: rows as it leaves them.

use axum::http::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{App, Delivery, JOB, OPERATOR_SECRET};

const ALERTS: &str = "select kind, dedup_key, severity, status from alerts order by opened_at";

/// As if a run of this shard had renewed its lease, and an hour had then been
/// taken back from the clock.
async fn renewed_in_the_future(app: &App, shard: i32, shards: i32) {
    app.execute(&format!(
        "insert into job_runs (id, job, shard, shard_count, trigger, status, epoch, started_at)
         values ('01900000-0000-7000-8000-000000000001', '{JOB}', {shard}, {shards}, 'qstash',
                 'running', 7, now() + interval '1 hour');
         insert into job_leases (job, shard, shard_count, epoch, run_id, expires_at)
         values ('{JOB}', {shard}, {shards}, 7, '01900000-0000-7000-8000-000000000001',
                 now() + interval '1 hour 1 minute')"
    ))
    .await;
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_free_whatever_the_clock_says() {
    let app = App::new().await;
    app.deliver(JOB).await;
    app.execute("update job_leases set expires_at = now() + interval '1 hour'")
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.rows(ALERTS).await, json!([]));
}

#[rstest]
#[case::the_same_part(0, 1, "")]
#[case::a_shard_by_the_whole(3, 4, "")]
#[case::the_whole_by_a_shard(0, 1, r#"{"shard": "1/2"}"#)]
#[case::a_shard_of_another_division(3, 4, r#"{"shard": "1/2"}"#)]
#[tokio::test]
async fn a_lease_from_the_future_is_taken_and_reported(
    #[case] shard: i32,
    #[case] shards: i32,
    #[case] body: &str,
) {
    let app = App::new().await;
    app.stale_order().await;
    renewed_in_the_future(&app, shard, shards).await;
    let deliver = async || match body {
        "" => app.deliver(JOB).await,
        body => Delivery::of(JOB).body(body).to(&app).await,
    };

    let reply = deliver().await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let dead = "select count(*) from job_runs where status = 'abandoned'";
    assert_eq!(app.count(dead).await, 1);
    let alert = |status: &str| {
        json!([{ "kind": "clock_moved", "dedup_key": format!("clock_moved:{JOB}"),
                 "severity": "warning", "status": status }])
    };
    assert_eq!(app.rows(ALERTS).await, alert("open"));

    deliver().await;

    assert_eq!(app.rows(ALERTS).await, alert("resolved"));
}

#[tokio::test]
async fn an_alert_that_the_database_refuses_stops_no_run() {
    let app = App::new().await;
    app.stale_order().await;
    renewed_in_the_future(&app, 0, 1).await;
    app.execute("alter table alerts add constraint none check (kind <> 'clock_moved')")
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 1);
}

#[tokio::test]
async fn a_lease_within_its_length_is_held() {
    let app = App::new().await;
    renewed_in_the_future(&app, 0, 1).await;
    app.execute("update job_leases set ttl_seconds = 7200")
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "skipped"), "{reply:?}");
    assert_eq!(app.rows(ALERTS).await, json!([]));
}

#[tokio::test]
async fn a_delivery_dated_in_the_future_hides_no_silent_scheduler() {
    let app = App::new().await;
    app.execute(&format!(
        "update _sqlx_migrations set installed_on = now() - interval '40 days';
         insert into job_runs (id, job, trigger, status, started_at)
         values (gen_random_uuid(), '{JOB}', 'qstash', 'succeeded', now() + interval '1 hour')"
    ))
    .await;

    let body = app
        .call(Method::GET, "/health/schedules", &[], "")
        .await
        .body;

    let jobs = body["jobs"].as_array().unwrap();
    let job: &Value = jobs.iter().find(|job| job["job"] == JOB).unwrap();
    assert_eq!(
        (&job["state"], &job["last_delivery"]),
        (&json!("overdue"), &Value::Null)
    );
}

#[tokio::test]
async fn a_run_that_began_in_the_future_took_no_negative_time() {
    let app = App::new().await;
    let tick = Delivery::of(JOB).message("msg_1");
    tick.to(&app).await;
    app.execute("update job_runs set started_at = finished_at + interval '1 hour'")
        .await;

    let reply = tick.to(&app).await;

    assert_eq!(reply.outcome(), (200, "replayed"), "{reply:?}");
    assert_eq!(reply.body["duration_ms"], 0);
}

#[tokio::test]
async fn a_success_dated_in_the_future_is_the_latest_only_until_the_next() {
    let app = App::new().await;
    app.deliver(JOB).await;
    app.execute("update job_run_totals set last_finished_at = now() + interval '1 hour'")
        .await;

    app.deliver(JOB).await;

    let ahead = "select count(*) from job_run_totals where last_finished_at > now()";
    assert_eq!(app.count(ahead).await, 0);
}

#[tokio::test]
async fn a_pause_that_was_ended_is_over_whatever_the_clock_says() {
    let app = App::new().await;
    let route = format!("/api/jobs/{JOB}/pause");
    let headers = [
        ("authorization", format!("Bearer {OPERATOR_SECRET}")),
        ("content-type", "application/json".to_owned()),
    ];
    let ask = async |method| app.call(method, &route, &headers, "").await;
    ask(Method::POST).await;
    ask(Method::DELETE).await;
    app.execute("update job_pauses set until = now() + interval '1 hour'")
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let health = app.call(Method::GET, "/health/schedules", &[], "").await;
    assert!(!health.text.contains("paused"), "{health:?}");
    let state = ask(Method::DELETE).await;
    assert_eq!(state.body["pause"], Value::Null, "{state:?}");
    ask(Method::POST).await;
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "skipped"));
}
