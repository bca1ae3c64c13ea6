//! What cannot be divided, or not so.

use super::*;

#[tokio::test]
async fn without_a_token_fan_out_is_refused() {
    let app = App::new().await;
    let operator = app.operate(JOB, "fan_out=4").await;
    assert_eq!(operator.status, 422);
    let message = operator.body["message"].as_str().unwrap();
    assert!(message.contains("QSTASH_TOKEN is not set"), "{message}");
    let qstash = fan_out(4).to(&app).await;
    assert_eq!(qstash.status, 489);
    assert_eq!(qstash.headers["upstash-nonretryable-error"], "true");
    assert_eq!(app.count("select count(*) from job_runs").await, 0);
}

#[rstest]
#[case::a_shard(JOB, "fan_out=2&shard=0/2", "a shard is not divided again")]
#[case::a_dry_run(JOB, "fan_out=2&dry_run=true", "a dry run publishes nothing")]
#[case::a_continuation(
    JOB,
    "fan_out=2&continuation_of=01900000-0000-7000-8000-000000000001",
    "a continuation does the rest of one run"
)]
#[case::one(JOB, "fan_out=1", "fan_out must be between 2 and 64")]
#[case::too_many(JOB, "fan_out=65", "fan_out must be between 2 and 64")]
#[case::a_job_that_is_not_divided("cleanup-old-data", "fan_out=2", "has no use for")]
#[tokio::test]
async fn what_fan_out_does_not_go_with_is_refused(
    #[case] job: &str,
    #[case] query: &str,
    #[case] says: &str,
) {
    let connected = Connected::new().await;
    let reply = connected.app.operate(job, query).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    let message = reply.body["message"].as_str().unwrap();
    assert!(message.contains(says), "{message}");
    assert!(connected.qstash.calls().is_empty());
}
