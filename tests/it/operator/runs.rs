//! The runs of a job, page by page, and one run by its id.

use super::*;

const RUNS: &str = "/api/jobs/expire-stale-orders/runs";

#[tokio::test]
async fn a_run_is_told_with_all_the_ledger_knows() {
    let app = App::new().await;
    app.stale_order().await;
    let reply = Delivery::of(JOB)
        .message("msg_7")
        .header("upstash-schedule-id", "jarvis-expire-stale-orders")
        .body(r#"{"batch_size": 7}"#)
        .to(&app)
        .await;
    let id = reply.body["run_id"].as_str().unwrap();

    let mut run = read(&app, &format!("/api/runs/{id}")).await.body;

    let duration = run["duration_ms"].as_i64().unwrap();
    assert!(duration >= 0);
    for moment in ["started_at", "finished_at", "duration_ms"] {
        run.as_object_mut().unwrap().remove(moment);
    }
    assert_eq!(run["results"]["orders_expired"], 1);
    run.as_object_mut().unwrap().remove("results");
    assert_eq!(
        run,
        json!({
            "run_id": id, "job": JOB, "shard": 0, "status": "succeeded", "trigger": "qstash",
            "actor": null, "reason": null, "message_id": "msg_7",
            "shard_count": 1, "chain_position": 1, "published": [], "children": [],
            "schedule_id": "jarvis-expire-stale-orders", "attempt": 1, "dry_run": false,
            "options": { "batch_size": 7 }, "continuation_of": null, "error": null,
        })
    );
}

#[rstest]
#[case::unknown("01900000-0000-7000-8000-000000000009")]
#[case::no_id("yesterday")]
#[case::no_text("%FF")]
#[tokio::test]
async fn a_run_that_is_not_there_is_not_found(#[case] id: &str) {
    let app = App::new().await;
    let reply = read(&app, &format!("/api/runs/{id}")).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(reply.body["code"], "unknown_run");
}

#[tokio::test]
async fn runs_come_page_by_page_each_once_the_latest_first() {
    let app = App::new().await;
    // Five at the same moment, so that the moment alone cannot tell pages apart.
    app.execute(
        "insert into job_runs (id, job, trigger, status, started_at)
         select ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'expire-stale-orders',
                'qstash', case when n % 2 = 0 then 'failed' else 'succeeded' end,
                timestamptz '2026-01-01' + n / 5 * interval '1 hour'
           from generate_series(0, 11) as n;
         insert into job_runs (id, job, trigger, status)
         values (gen_random_uuid(), 'another', 'qstash', 'succeeded')",
    )
    .await;
    let mut seen = Vec::new();
    let mut path = format!("{RUNS}?limit=5");
    let mut pages = 0;
    loop {
        let page = read(&app, &path).await.body;
        let runs = page["runs"].as_array().unwrap();
        seen.extend(
            runs.iter()
                .map(|run| run["run_id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("{RUNS}?limit=5&before={next}");
    }
    assert_eq!(pages, 3);
    let expected: Vec<String> = (0..12)
        .rev()
        .map(|n| format!("01900000-0000-7000-8000-{n:012}"))
        .collect();
    assert_eq!(seen, expected);

    let failed = read(&app, &format!("{RUNS}?status=failed")).await.body;
    let runs = failed["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|run| run["status"] == "failed"));
    assert_eq!(failed["next"], Value::Null);
}

#[rstest]
#[case::no_limit("limit=0", "limit must be between 1 and 200")]
#[case::too_many("limit=201", "limit must be between 1 and 200")]
#[case::a_word("limit=all", "limit")]
#[case::an_unknown_status("status=done", "there are: running, succeeded")]
#[case::no_run("before=yesterday", "before")]
#[case::an_unknown_run("before=01900000-0000-7000-8000-000000000009", "before must be")]
#[case::unknown("page=2", "page")]
#[case::twice("limit=1&limit=2", "limit")]
#[tokio::test]
async fn a_page_that_cannot_be_meant_is_refused(#[case] query: &str, #[case] says: &str) {
    let app = App::new().await;
    let reply = read(&app, &format!("{RUNS}?{query}")).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reply.body["code"], "bad_option");
    let message = reply.body["message"].as_str().unwrap();
    assert!(message.contains(says), "{message}");
}

#[tokio::test]
async fn a_page_before_a_run_of_another_job_is_refused() {
    let app = App::new().await;
    app.deliver("cleanup-old-data").await;
    let run = app.rows("select id from job_runs").await;
    let before = run[0]["id"].as_str().unwrap();

    let reply = read(&app, &format!("{RUNS}?before={before}")).await;

    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_runs_of_a_job_that_is_not_there_are_not_found() {
    let app = App::new().await;
    let reply = read(&app, "/api/jobs/no-such-job/runs").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(reply.body["code"], "unknown_job");
}
