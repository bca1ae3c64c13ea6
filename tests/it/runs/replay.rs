//! The same call again: what was settled is answered from the ledger.

use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use rstest::rstest;
use serde_json::json;

use super::{busy, until_stripe_is_asked};
use crate::app::{App, Delivery, JOB};

#[tokio::test]
async fn a_settled_message_gets_its_stored_results() {
    let app = App::new().await;
    app.stale_order().await;
    let delivery = Delivery::of(JOB);
    let first = delivery.to(&app).await;
    app.stale_order().await;

    let again = delivery.to(&app).await;

    assert_eq!(again.outcome(), (200, "replayed"));
    assert_eq!(again.body["run_id"], first.body["run_id"]);
    assert_eq!(again.results(), first.results());
    assert_eq!(
        app.count("select count(*) from orders where status = 'PENDING'")
            .await,
        1
    );
    assert_eq!(app.count("select count(*) from job_runs").await, 1);
}

#[tokio::test]
async fn a_skipped_message_stays_skipped() {
    let app = App::new().await;
    app.execute("insert into job_pauses (job) values ('expire-stale-orders')")
        .await;
    let delivery = Delivery::of(JOB);
    delivery.to(&app).await;
    app.execute("delete from job_pauses").await;

    let again = delivery.to(&app).await;

    assert_eq!(again.outcome(), (200, "replayed"));
    assert_eq!(again.results()["reason"], "paused");
}

#[tokio::test]
async fn a_spent_token_never_runs_twice_whatever_the_message_id_says() {
    let app = App::new().await;
    let mut delivery = Delivery::of(JOB);
    delivery.token = Some(delivery.sign());
    let first = delivery.to(&app).await;
    app.stale_order().await;

    let again = delivery.message("msg_another").to(&app).await;

    assert_eq!(again.outcome(), (200, "replayed"));
    assert_eq!(again.body["run_id"], first.body["run_id"]);
    assert_eq!(
        app.count("select count(*) from orders where status = 'PENDING'")
            .await,
        1
    );
}

#[tokio::test]
async fn the_token_of_a_failed_run_does_the_work_when_it_comes_again() {
    let app = App::new().await;
    app.stale_order().await;
    app.execute("alter table order_expirations rename to gone")
        .await;
    let mut delivery = Delivery::of(JOB);
    delivery.token = Some(delivery.sign());
    let failed = delivery.to(&app).await;
    app.execute("alter table gone rename to order_expirations")
        .await;

    let again = delivery.to(&app).await;
    let once_more = delivery.to(&app).await;

    assert_eq!(failed.outcome(), (500, "failed"), "{failed:?}");
    assert_eq!(again.outcome(), (200, "succeeded"), "{again:?}");
    assert_eq!(again.results()["orders_expired"], 1);
    assert_eq!(once_more.outcome(), (200, "replayed"), "{once_more:?}");
    assert_eq!(once_more.body["run_id"], again.body["run_id"]);
    let runs = app
        .rows("select attempt, status from job_runs order by attempt")
        .await;
    assert_eq!(
        runs,
        json!([{ "attempt": 1, "status": "failed" }, { "attempt": 2, "status": "succeeded" }])
    );
}

#[rstest]
#[case::succeeded("succeeded", "replayed")]
#[case::partial("partial", "replayed")]
#[case::skipped("skipped", "replayed")]
#[case::failed("failed", "succeeded")]
#[case::fenced("fenced", "succeeded")]
#[case::abandoned("abandoned", "succeeded")]
#[tokio::test]
async fn a_token_is_spent_by_a_run_that_ended_well_whatever_the_message_id_says(
    #[case] ended: &str,
    #[case] outcome: &str,
    #[values("msg_the_same", "msg_another")] message: &str,
) {
    let app = App::new().await;
    let mut delivery = Delivery::of(JOB).message("msg_the_same");
    delivery.token = Some(delivery.sign());
    delivery.to(&app).await;
    app.execute(&format!("update job_runs set status = '{ended}'"))
        .await;

    let again = delivery.message(message).to(&app).await;

    assert_eq!(again.outcome(), (200, outcome), "{again:?}");
    let attempts = app.count("select max(attempt) from job_runs").await;
    assert_eq!(attempts, if outcome == "replayed" { 1 } else { 2 });
}

#[tokio::test]
async fn the_token_of_a_run_that_died_may_come_again_while_its_job_is_paused() {
    let app = App::new().await;
    let mut delivery = Delivery::of(JOB);
    delivery.token = Some(delivery.sign());
    delivery.to(&app).await;
    app.execute(&format!(
        "update job_runs set status = 'running', finished_at = null;
         insert into job_pauses (job) values ('{JOB}')"
    ))
    .await;

    let again = delivery.to(&app).await;

    assert_eq!(again.outcome(), (200, "skipped"), "{again:?}");
    let runs = app
        .rows("select attempt, status from job_runs order by attempt")
        .await;
    assert_eq!(
        runs,
        json!([{ "attempt": 1, "status": "abandoned" }, { "attempt": 2, "status": "skipped" }])
    );
}

#[tokio::test]
async fn a_token_that_comes_twice_at_once_after_a_failure_runs_once() {
    let app = App::new().await;
    let mut delivery = busy(&app, Duration::from_millis(300)).await;
    delivery.token = Some(delivery.sign());
    app.execute("alter table order_expirations rename to gone")
        .await;
    delivery.to(&app).await;
    app.execute("alter table gone rename to order_expirations")
        .await;

    let (one, two) = tokio::join!(delivery.to(&app), delivery.to(&app));

    let mut outcomes = [one.outcome(), two.outcome()];
    outcomes.sort_unstable();
    assert!(
        outcomes == [(200, "succeeded"), (409, "running")]
            || outcomes == [(200, "replayed"), (200, "succeeded")],
        "{one:?} {two:?}"
    );
    let ran = "select count(*) from job_runs where status = 'succeeded'";
    assert_eq!(app.count(ran).await, 1);
}

#[tokio::test]
async fn a_message_runs_again_after_a_failure() {
    let app = App::new().await;
    app.stale_order().await;
    app.execute("alter table order_expirations rename to gone")
        .await;
    let delivery = Delivery::of(JOB);
    assert_eq!(delivery.to(&app).await.outcome(), (500, "failed"));
    app.execute("alter table gone rename to order_expirations")
        .await;

    let again = delivery.to(&app).await;

    assert_eq!(again.outcome(), (200, "succeeded"));
    let runs = app
        .rows("select attempt, status from job_runs order by attempt")
        .await;
    assert_eq!(
        runs,
        serde_json::json!([{ "attempt": 1, "status": "failed" },
                           { "attempt": 2, "status": "succeeded" }])
    );
}

#[tokio::test]
async fn a_message_that_is_running_is_answered_with_retry_after() {
    let app = App::new().await;
    let delivery = busy(&app, Duration::from_millis(800)).await;

    let again = async {
        until_stripe_is_asked(&app).await;
        delivery.to(&app).await
    };
    let (first, again) = tokio::join!(delivery.to(&app), again);

    assert_eq!(first.outcome(), (200, "succeeded"));
    assert_eq!(again.outcome(), (409, "running"));
    assert_eq!(
        again.body["message"],
        "expire-stale-orders is still running"
    );
    assert!(again.headers.contains_key("retry-after"));
    assert_eq!(app.count("select count(*) from job_runs").await, 1);
}

#[tokio::test]
async fn the_same_token_many_times_at_once_runs_once() {
    let app = App::new().await;
    let (_, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.stripe.fault(
        Operation::Retrieve,
        &intent,
        Fault::Hang(Duration::from_millis(300)),
    );
    let mut delivery = Delivery::of(JOB);
    delivery.token = Some(delivery.sign());

    let replies = futures::future::join_all((0..8).map(|n| {
        let delivery = delivery.clone().message(&format!("msg_{n}"));
        let app = &app;
        async move { delivery.to(app).await }
    }))
    .await;

    let succeeded = replies
        .iter()
        .filter(|reply| reply.outcome() == (200, "succeeded"))
        .count();
    assert_eq!(succeeded, 1, "{replies:?}");
    assert_eq!(app.count("select count(*) from job_runs").await, 1);
    assert_eq!(app.stripe.effective_cancels(&intent), 1);
}

#[tokio::test]
async fn a_message_id_of_another_job_is_another_message() {
    let app = App::new().await;
    app.execute(
        "insert into job_runs (id, job, trigger, message_id, status)
         values (gen_random_uuid(), 'another-job', 'qstash', 'msg_1', 'succeeded')",
    )
    .await;

    let reply = Delivery::of(JOB).message("msg_1").to(&app).await;

    assert_eq!(reply.outcome(), (200, "succeeded"));
}
