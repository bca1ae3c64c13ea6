//! The totals: every settled run once, whatever becomes of its row.

use super::*;

const DEAD: &str = "01900000-0000-7000-8000-000000000001";

async fn metrics(app: &App) -> Value {
    let reply = read(app, "/api/jobs/metrics").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.body
}

#[tokio::test]
async fn every_figure_is_there_before_anything_ran() {
    let app = App::new().await;
    let figures = metrics(&app).await;
    for total in [
        "payments_expired_total",
        "payment_intents_canceled_total",
        "stock_released_total",
        "rows_erased_total",
        "alerts_opened_total",
        "alerts_resolved_total",
        "alerts_escalated_total",
    ] {
        assert_eq!(figures[total], 0, "{total}");
    }
    let job = &figures["jobs"][JOB];
    assert_eq!(job["totals"]["orders_expired"], 0);
    assert_eq!(job["last_execution_time"], Value::Null);
    assert_eq!(job["job_execution_time"], Value::Null);
}

#[tokio::test]
async fn totals_add_up_over_runs_and_survive_their_rows() {
    let app = App::new().await;
    app.stale_orders(3, 2).await;
    app.deliver(JOB).await;
    app.stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    let last = app.deliver(JOB).await;

    let figures = metrics(&app).await;
    assert_eq!(figures["payments_expired_total"], 4);
    assert_eq!(figures["payment_intents_canceled_total"], 1);
    assert_eq!(figures["stock_released_total"], 9);
    let job = &figures["jobs"][JOB];
    assert_eq!(job["totals"]["orders_expired"], 4);
    assert_eq!(job["runs"], json!({ "succeeded": 2 }));
    assert_eq!(job["last_execution_time"], last.body["started_at"]);
    assert_eq!(job["job_execution_time"], last.body["duration_ms"]);

    app.execute("delete from job_runs").await;
    let pruned = metrics(&app).await;
    assert_eq!(pruned["jobs"][JOB]["totals"], job["totals"]);
    assert_eq!(pruned["jobs"][JOB]["runs"], job["runs"]);
    assert_eq!(pruned["payments_expired_total"], 4);
}

#[tokio::test]
async fn a_dry_run_and_a_replay_add_nothing() {
    let app = App::new().await;
    app.stale_order().await;
    app.operate(JOB, "dry_run=true").await;
    assert_eq!(metrics(&app).await["payments_expired_total"], 0);

    let delivery = Delivery::of(JOB).message("msg_1");
    delivery.to(&app).await;
    let again = delivery.to(&app).await;
    assert_eq!(again.outcome(), (200, "replayed"));
    let figures = metrics(&app).await;
    assert_eq!(figures["payments_expired_total"], 1);
    assert_eq!(figures["jobs"][JOB]["runs"], json!({ "succeeded": 1 }));
}

#[tokio::test]
async fn what_a_dead_run_had_committed_counts_once() {
    let app = App::new().await;
    app.execute(&format!(
        "insert into job_runs (id, job, trigger, status, epoch, results)
         values ('{DEAD}', '{JOB}', 'qstash', 'running', 1, '{{\"orders_expired\": 40}}')"
    ))
    .await;
    assert_eq!(
        metrics(&app).await["payments_expired_total"],
        0,
        "it is not settled"
    );

    app.stale_order().await;
    app.deliver(JOB).await;
    app.deliver(JOB).await;

    let figures = metrics(&app).await;
    assert_eq!(figures["payments_expired_total"], 41);
    assert_eq!(
        figures["jobs"][JOB]["runs"],
        json!({ "abandoned": 1, "succeeded": 2 })
    );
}

#[tokio::test]
async fn a_run_that_an_older_version_settled_is_added_by_the_next() {
    let app = App::new().await;
    app.execute(&format!(
        "insert into job_runs (id, job, trigger, status, finished_at, results)
         values ('{DEAD}', '{JOB}', 'qstash', 'succeeded', now(),
                 '{{\"orders_expired\": 7, \"errors\": [], \"stock_released\": \"many\"}}')"
    ))
    .await;
    app.deliver(JOB).await;
    app.deliver(JOB).await;
    let figures = metrics(&app).await;
    assert_eq!(figures["payments_expired_total"], 7);
    assert_eq!(figures["stock_released_total"], 0);
    assert_eq!(figures["jobs"][JOB]["runs"], json!({ "succeeded": 3 }));
}

#[tokio::test]
async fn a_skipped_run_is_counted_and_is_no_execution() {
    let app = App::new().await;
    let ran = app.deliver(JOB).await;
    app.execute(&format!("insert into job_pauses (job) values ('{JOB}')"))
        .await;
    app.deliver(JOB).await;
    let job = metrics(&app).await["jobs"][JOB].clone();
    assert_eq!(job["runs"], json!({ "succeeded": 1, "skipped": 1 }));
    assert_eq!(job["last_execution_time"], ran.body["started_at"]);
}

#[tokio::test]
async fn alerts_that_stand_open_are_counted_by_their_kind() {
    let app = App::new().await;
    app.stale_order_with_intent("processing", Some("succeeded"))
        .await;
    app.stale_order_with_intent("processing", None).await;
    app.deliver(JOB).await;
    app.execute("update alerts set status = 'acknowledged' where kind = 'order_paid_unsettled'")
        .await;
    assert_eq!(
        metrics(&app).await["alerts_open"],
        json!({ "order_paid_unsettled": 1, "payment_intent_missing": 1 })
    );
    app.execute("update alerts set status = 'dismissed'").await;
    assert_eq!(metrics(&app).await["alerts_open"], json!({}));
}

#[tokio::test]
async fn shards_that_end_at_once_are_all_counted() {
    let app = App::new().await;
    app.stale_orders(60, 1).await;
    let shards = (0..6).map(|index| {
        let query = format!("shard={index}/6");
        let app = &app;
        async move { app.operate(JOB, &query).await }
    });
    for reply in futures::future::join_all(shards).await {
        assert_eq!(reply.outcome(), (200, "succeeded"));
    }
    let figures = metrics(&app).await;
    assert_eq!(figures["payments_expired_total"], 60);
    assert_eq!(figures["jobs"][JOB]["runs"], json!({ "succeeded": 6 }));
}
