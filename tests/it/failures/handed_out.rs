//! Fan-out parents: which failures their success resolves, and which not.

use axum::http::Method;
use rstest::rstest;

use super::*;
use crate::app::OPERATOR_SECRET;
use crate::messages::Connected;

#[rstest]
#[case::the_whole("{}", ["open", "resolved", "resolved"])]
#[case::another_fan_out(r#"{"fan_out":2}"#, ["resolved"; 3])]
#[case::a_shard(r#"{"shard":"0/2"}"#, ["open", "resolved", "resolved"])]
#[tokio::test]
async fn publishing_shards_is_not_doing_their_work(#[case] failed: &str, #[case] alert: [&str; 3]) {
    let connected = Connected::new().await;
    let app = &connected.app;
    let failed = with(
        callback("msg_1"),
        &json!({ "sourceBody": STANDARD.encode(failed) }),
    );
    noted(app, &failed).await;

    let runs = [r#"{"fan_out":2}"#, r#"{"shard":"0/2"}"#, "{}"];
    for (index, (options, alert)) in runs.into_iter().zip(alert).enumerate() {
        let run = tick(&format!("msg_{}", index + 2)).body(options);
        assert_eq!(run.to(app).await.outcome(), (200, "succeeded"));
        assert_eq!(alerts(app).await[0]["status"], alert, "{options}");
    }
}

#[tokio::test]
async fn a_callback_that_comes_after_shards_were_handed_out_opens_the_alert() {
    let connected = Connected::new().await;
    let app = &connected.app;
    break_the_job(app).await;
    tick("msg_1").to(app).await;
    fix_the_job(app).await;
    let hands_out = tick("msg_2").body(r#"{"fan_out":2}"#);
    assert_eq!(hands_out.to(app).await.outcome(), (200, "succeeded"));

    assert_eq!(noted(app, &callback("msg_1")).await, "opened");
}

/// The jobs as an operator sees them, and the figures.
async fn seen(app: &App) -> (Value, String) {
    let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    let jobs = app.call(Method::GET, "/api/jobs", &headers, "").await;
    let jobs = jobs.body["jobs"].as_array().unwrap().clone();
    let job = jobs.into_iter().find(|job| job["job"] == JOB).unwrap();
    let figures = app.call(Method::GET, "/metrics", &headers, "").await.text;
    (job, figures)
}

#[tokio::test]
async fn handing_out_shards_is_no_last_success() {
    let figure = format!(r#"jarvis_cron_last_success_timestamp_seconds{{job="{JOB}"}}"#);
    let connected = Connected::new().await;
    let app = &connected.app;
    let hands_out = tick("msg_1").body(r#"{"fan_out":2}"#).to(app).await;
    assert_eq!(hands_out.outcome(), (200, "succeeded"));

    let (job, figures) = seen(app).await;
    assert_eq!(job["last_run"]["run_id"], hands_out.body["run_id"]);
    assert_eq!(job["last_success"], Value::Null);
    assert!(!figures.contains(&figure), "{figures}");

    let shard = tick("msg_2").body(r#"{"shard":"0/2"}"#).to(app).await;
    let (job, figures) = seen(app).await;
    assert_eq!(job["last_success"]["run_id"], shard.body["run_id"]);
    assert!(figures.contains(&figure), "{figures}");
}
