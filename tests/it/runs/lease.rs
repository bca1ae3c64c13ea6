//! One run at a time, and no word from the dead.

use std::time::Duration;

use serde_json::json;

use super::{busy, until_stripe_is_asked};
use crate::app::{App, JOB};

#[tokio::test]
async fn the_lease_is_kept_alive_while_stripe_is_awaited() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "1")]).await;
    let first = busy(&app, Duration::from_millis(2_600)).await;

    let other = async {
        until_stripe_is_asked(&app).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        app.deliver(JOB).await
    };
    let (first, other) = tokio::join!(first.to(&app), other);

    assert_eq!(other.outcome(), (200, "skipped"));
    assert_eq!(first.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn a_runner_that_lost_its_lease_commits_nothing() {
    let app = App::new().await;
    let first = busy(&app, Duration::from_millis(800)).await;
    app.stale_orders(3, 1).await;

    let taken = async {
        until_stripe_is_asked(&app).await;
        app.execute("update job_leases set epoch = epoch + 1, run_id = gen_random_uuid()")
            .await;
        app.checksums().await
    };
    let (reply, mut before) = tokio::join!(first.to(&app), taken);

    assert_eq!(reply.outcome(), (409, "fenced"), "{reply:?}");
    assert!(reply.headers.contains_key("retry-after"));
    let mut after = app.checksums().await;
    before.remove("system_logs");
    after.remove("system_logs");
    assert_eq!(before, after);
    assert_eq!(
        app.count("select count(*) from job_runs where status = 'fenced'")
            .await,
        1
    );
}

#[tokio::test]
async fn the_next_taker_notices_a_run_that_died() {
    let app = App::new().await;
    app.execute(
        "insert into job_runs (id, job, trigger, message_id, status, epoch)
         values ('01900000-0000-7000-8000-000000000001', 'expire-stale-orders', 'qstash', 'msg_dead',
                 'running', 7);
         insert into job_leases (job, epoch, run_id, expires_at)
         values ('expire-stale-orders', 7, '01900000-0000-7000-8000-000000000001',
                 now() - interval '1 second')",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"));
    let runs = app
        .rows("select status, epoch from job_runs order by epoch")
        .await;
    assert_eq!(
        runs,
        json!([{ "status": "abandoned", "epoch": 7 }, { "status": "succeeded", "epoch": 8 }])
    );
    let levels = app.rows("select level from system_logs order by id").await;
    assert_eq!(levels, json!([{ "level": "warning" }, { "level": "info" }]));
}

#[tokio::test]
async fn another_message_is_skipped_while_a_run_is_alive() {
    let app = App::new().await;
    let first = busy(&app, Duration::from_millis(800)).await;

    let others = async {
        until_stripe_is_asked(&app).await;
        (app.deliver(JOB).await, app.operate(JOB, "").await)
    };
    let (first, (scheduler, operator)) = tokio::join!(first.to(&app), others);

    assert_eq!(first.outcome(), (200, "succeeded"));
    assert_eq!(scheduler.outcome(), (200, "skipped"));
    assert_eq!(operator.outcome(), (409, "skipped"));
    assert_eq!(scheduler.body["code"], "already_running");
    let log = app
        .count("select count(*) from system_logs where message like '%skipped%'")
        .await;
    assert_eq!(log, 2);
}
