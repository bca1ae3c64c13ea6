//! Runs: ledger, lease, fence, budget, and the answer to the caller.

use std::time::Duration;

use futures::FutureExt;
use jarvis_cron::demo::stripe_double::{Fault, Operation};
use jarvis_cron::engine::{
    Answer, Call, Caller, Completion, Job, JobContext, JobOutcome, Options, Status,
};
use serde_json::json;

use crate::app::{App, Delivery, JOB, OPERATOR_SECRET};

mod clock;
mod dry_runs;
mod lease;
mod parts;
mod replay;
mod settled;

/// Keeps a run of the job at work until Stripe has answered.
async fn busy(app: &App, long: Duration) -> Delivery {
    let (_, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.stripe
        .fault(Operation::Retrieve, &intent, Fault::Hang(long));
    Delivery::of(JOB)
}

async fn until_stripe_is_asked(app: &App) {
    while app.stripe.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_run_is_written_into_the_ledger_and_the_log() {
    let app = App::new().await;
    app.stale_order().await;

    let delivery = Delivery::of(JOB)
        .message("msg_1")
        .header("upstash-schedule-id", "scd_1");
    let reply = delivery.to(&app).await;

    let run = app
        .rows(
            "select id::text, job, shard, trigger, message_id, schedule_id, attempt, options,
                    dry_run, status, epoch, results, error, finished_at >= started_at as in_order,
                    signature_jti like 'jwt_%' as has_jti
               from job_runs",
        )
        .await;
    assert_eq!(
        run,
        json!([{ "id": reply.body["run_id"], "job": JOB, "shard": 0, "trigger": "qstash",
                 "message_id": "msg_1", "schedule_id": "scd_1", "attempt": 1, "options": {},
                 "dry_run": false, "status": "succeeded", "epoch": 1, "error": null,
                 "results": reply.results(), "in_order": true, "has_jti": true }])
    );
    let log = app
        .rows("select log_type, level, message, run_id from system_logs")
        .await;
    assert_eq!(
        log,
        json!([{ "log_type": "cron_expire_orders", "level": "info", "run_id": reply.body["run_id"],
                 "message": "expire-stale-orders succeeded: orders_expired 1, stock_released 3" }])
    );
}

#[tokio::test]
async fn an_answer_has_the_shape_of_the_contract() {
    let app = App::new().await;

    let reply = app.deliver(JOB).await;

    let mut fields: Vec<&String> = reply.body.as_object().unwrap().keys().collect();
    fields.sort();
    let contract = [
        "dry_run",
        "duration_ms",
        "job",
        "message",
        "results",
        "run_id",
        "started_at",
        "status",
        "success",
    ];
    assert_eq!(fields, contract);
    assert!(reply.body["started_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn the_logged_runs_are_found_by_the_query_everybody_knows() {
    let app = App::new().await;
    app.deliver(JOB).await;

    let sql =
        "SELECT * FROM system_logs WHERE log_type LIKE 'cron_%' ORDER BY timestamp DESC LIMIT 50";

    assert_eq!(
        app.rows(sql).await[0]["message"],
        "expire-stale-orders succeeded: nothing to do"
    );
}

#[tokio::test]
async fn a_paused_job_is_skipped_until_the_pause_ends() {
    let app = App::new().await;
    app.execute(
        "insert into job_pauses (job, reason) values ('expire-stale-orders', 'stocktaking')",
    )
    .await;

    let skipped = app.deliver(JOB).await;
    assert_eq!(skipped.outcome(), (200, "skipped"));
    assert_eq!(
        skipped.body["message"],
        "expire-stale-orders skipped: paused"
    );
    let operator = app.operate(JOB, "").await;
    assert_eq!(operator.outcome(), (423, "skipped"));
    assert_eq!(operator.body["code"], "paused");

    app.execute("update job_pauses set until = now() - interval '1 second'")
        .await;
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn a_spent_budget_leaves_the_rest_to_the_next_run() {
    let mut app = App::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    app.stale_orders(40, 1).await;
    app.open_intents_for_all().await;
    app.stripe.latency(Duration::from_millis(150));

    let first = app.deliver(JOB).await;

    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    assert_eq!(first.body["continued"], false);
    let done = first.results()["orders_expired"].as_i64().unwrap();
    assert!((1..40).contains(&done), "{done}");
    app.stripe.latency(Duration::ZERO);
    app.take_time();
    let second = app.deliver(JOB).await;
    assert_eq!(second.results()["orders_expired"], 40 - done);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_end_the_run() {
    let app = App::new().await;
    let delivery = busy(&app, Duration::from_millis(500)).await;

    let hung_up = tokio::time::timeout(Duration::from_millis(200), delivery.to(&app)).await;
    assert!(hung_up.is_err());
    app.runner.tasks.close();
    app.runner.tasks.wait().await;

    assert_eq!(
        app.count("select count(*) from job_runs where status = 'succeeded'")
            .await,
        1
    );
    assert_eq!(
        app.count("select count(*) from orders where status = 'EXPIRED'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_job_that_panics_is_settled_as_failed_and_frees_its_lease() {
    static PANICS: Job = Job {
        name: "panics",
        log_type: "cron_panics",
        accepts: &[],
        totals: &[],
        run: |ctx: &JobContext| {
            async {
                assert!(ctx.options.force, "as a test wants it");
                JobOutcome {
                    results: json!({}),
                    end: Ok(Completion::Done),
                }
            }
            .boxed()
        },
    };
    let app = App::new().await;
    let call = |force| Call {
        job: &PANICS,
        options: Options {
            force,
            ..Options::default()
        },
        caller: Caller::default(),
    };

    let Answer::Settled { run, .. } = app.runner.detached(call(false)).await.unwrap() else {
        panic!("not settled");
    };
    assert_eq!(run.status, Status::Failed);
    assert!(run.error.unwrap().contains("panicked"));
    let Answer::Settled { run, .. } = app.runner.detached(call(true)).await.unwrap() else {
        panic!("not settled");
    };
    assert_eq!(run.status, Status::Succeeded);
}

#[tokio::test]
async fn an_operator_sees_the_error_and_qstash_does_not() {
    let app = App::new().await;
    app.execute("alter table order_expirations rename to gone")
        .await;

    let operator = app.operate(JOB, "").await;
    let scheduler = app.deliver(JOB).await;

    assert_eq!(operator.outcome(), (500, "failed"));
    assert!(
        operator.body["error"]
            .as_str()
            .unwrap()
            .contains("order_expirations")
    );
    assert_eq!(scheduler.outcome(), (500, "failed"));
    assert!(!scheduler.body.to_string().contains("order_expirations"));
    let logged = app
        .rows("select level, details ->> 'error' is null as silent from system_logs")
        .await;
    assert_eq!(logged[0], json!({ "level": "error", "silent": false }));
}

#[tokio::test]
async fn who_and_why_are_kept_with_an_operators_run() {
    let app = App::new().await;
    let headers = [
        ("authorization", format!("Bearer {OPERATOR_SECRET}")),
        ("x-actor", "zoé".to_owned()),
        ("x-reason", "après l'incident".to_owned()),
    ];

    app.call(
        axum::http::Method::POST,
        &format!("/api/cron/{JOB}"),
        &headers,
        "",
    )
    .await;

    let run = app
        .rows("select trigger, actor, reason from job_runs")
        .await;
    assert_eq!(
        run,
        json!([{ "trigger": "operator", "actor": "zoé", "reason": "après l'incident" }])
    );
}

#[tokio::test]
async fn a_begin_that_would_fail_again_is_not_asked_to_come_again() {
    let app = App::new().await;
    app.execute("alter table job_leases rename to gone").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.status, 500, "{reply:?}");
    assert!(!reply.headers.contains_key("retry-after"));
}
