//! How long the alert is open, and what resolves it.

use rstest::rstest;

use super::*;

/// A message of a shard, of no schedule, with these options.
fn with_options(message: &str, options: &str) -> Value {
    let changes = json!({ "scheduleId": null, "sourceBody": STANDARD.encode(options) });
    with(callback(message), &changes)
}

async fn is_open(app: &App) -> bool {
    app.count("select count(*) from alerts where status in ('open', 'acknowledged')")
        .await
        == 1
}

#[tokio::test]
async fn only_a_success_that_qstash_delivered_ends_it() {
    let app = App::new().await;
    noted(&app, &callback("msg_1")).await;

    assert_eq!(app.operate(JOB, "").await.outcome(), (200, "succeeded"));
    assert!(is_open(&app).await, "an operator's run ended it");
    let dry_run = tick("msg_2").body(r#"{"dry_run":true}"#);
    assert_eq!(dry_run.to(&app).await.outcome(), (200, "succeeded"));
    assert!(is_open(&app).await, "a dry run ended it");
    break_the_job(&app).await;
    assert_eq!(tick("msg_3").to(&app).await.outcome(), (500, "failed"));
    assert!(is_open(&app).await, "a failure ended it");
    fix_the_job(&app).await;
    app.execute("insert into job_pauses (job) values ('expire-stale-orders')")
        .await;
    assert_eq!(tick("msg_4").to(&app).await.outcome(), (200, "skipped"));
    assert!(is_open(&app).await, "a skipped run ended it");
    app.execute("delete from job_pauses").await;

    assert_eq!(tick("msg_5").to(&app).await.outcome(), (200, "succeeded"));

    assert!(!is_open(&app).await);
}

#[tokio::test]
async fn an_acknowledged_alert_ends_too_and_the_next_failure_opens_another() {
    let app = App::new().await;
    noted(&app, &callback("msg_1")).await;
    app.execute("update alerts set status = 'acknowledged'")
        .await;
    assert_eq!(noted(&app, &callback("msg_2")).await, "bumped");
    tick("msg_3").to(&app).await;
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 2));

    assert_eq!(noted(&app, &callback("msg_4")).await, "opened");
}

#[tokio::test]
async fn a_second_success_says_nothing_more() {
    let app = App::new().await;
    noted(&app, &callback("msg_1")).await;
    tick("msg_2").to(&app).await;
    tick("msg_3").to(&app).await;
    let lines = "select count(*) from system_logs where log_type = 'cron_schedule_failing'";
    assert_eq!(app.count(lines).await, 2);
}

#[tokio::test]
async fn a_message_of_no_schedule_counts_for_that_of_its_job() {
    let app = App::new().await;
    let continuation = with(callback("msg_1"), &json!({ "scheduleId": null }));
    assert_eq!(noted(&app, &continuation).await, "opened");
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "open", 1));
    // What goes on where another run had stopped comes from no schedule either.
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 1));
}

#[tokio::test]
async fn two_schedules_of_one_job_do_not_answer_for_each_other() {
    let app = App::new().await;
    let other = with(callback("msg_1"), &json!({ "scheduleId": "scd_7" }));
    noted(&app, &other).await;
    tick("msg_2").to(&app).await;
    assert_eq!(alerts(&app).await, an_alert("scd_7", "open", 1));
    let its_own = Delivery::of(JOB).header("upstash-schedule-id", "scd_7");
    its_own.to(&app).await;
    assert_eq!(alerts(&app).await, an_alert("scd_7", "resolved", 1));
}

#[rstest]
#[case::the_same_shard(r#"{"shard":"1/4"}"#, false)]
#[case::another_shard(r#"{"shard":"0/4"}"#, true)]
#[case::another_division(r#"{"shard":"0/2"}"#, false)]
#[case::the_whole("{}", false)]
#[tokio::test]
async fn a_success_ends_what_it_covers(#[case] options: &str, #[case] stays_open: bool) {
    let app = App::new().await;
    noted(&app, &with_options("msg_1", r#"{"shard":"1/4"}"#)).await;

    let reply = Delivery::of(JOB).body(options).to(&app).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(is_open(&app).await, stays_open);
}

#[tokio::test]
async fn it_ends_when_the_last_of_several_is_covered() {
    let app = App::new().await;
    for shard in ["0/2", "1/2"] {
        let options = format!(r#"{{"shard":"{shard}"}}"#);
        noted(&app, &with_options(&format!("msg_{shard}"), &options)).await;
    }
    Delivery::of(JOB).body(r#"{"shard":"0/2"}"#).to(&app).await;
    assert!(is_open(&app).await);
    Delivery::of(JOB).body(r#"{"shard":"1/2"}"#).to(&app).await;
    assert!(!is_open(&app).await);
}

#[tokio::test]
async fn a_dry_run_that_fails_opens_no_alert() {
    let app = App::new().await;
    let dry_run = with_options("msg_1", r#"{"dry_run":true}"#);
    assert_eq!(noted(&app, &dry_run).await, "rehearsed");
    assert_eq!(alerts(&app).await, json!([]));
    assert_eq!(app.count("select count(*) from delivery_failures").await, 1);
}

#[rstest]
#[case::nothing_else(json!({ "sourceBody": null }))]
#[case::an_empty_body(json!({ "sourceBody": "" }))]
#[case::more_in_the_body(json!({ "sourceBody": STANDARD.encode(r#"{"limit":5}"#) }))]
#[tokio::test]
async fn options_in_the_address_are_read_too(#[case] body: Value) {
    let app = App::new().await;
    let to = |query: &str| {
        let url = format!("{PUBLIC_URL}/api/cron/{JOB}?{query}");
        with(with(callback("msg_1"), &body), &json!({ "url": url }))
    };
    assert_eq!(noted(&app, &to("dry_run=true#x")).await, "rehearsed");
    let shard = with(to("shard=1/4"), &json!({ "sourceMessageId": "msg_2" }));
    assert_eq!(noted(&app, &shard).await, "opened");

    let rows = "select shard, shards, url from delivery_failures where not dry_run";
    let url = format!("{PUBLIC_URL}/api/cron/{JOB}");
    assert_eq!(
        app.rows(rows).await,
        json!([{ "shard": 1, "shards": 4, "url": url }])
    );
}

#[tokio::test]
async fn an_alert_that_is_locked_does_not_keep_a_run_from_being_settled() {
    let app = App::new().await;
    noted(&app, &callback("msg_1")).await;
    let mut looking = app.db.begin().await.unwrap();
    sqlx::query("select from alerts for update")
        .execute(&mut *looking)
        .await
        .unwrap();
    assert_eq!(tick("msg_2").to(&app).await.outcome(), (200, "succeeded"));
    drop(looking);
    assert!(is_open(&app).await);

    assert_eq!(tick("msg_3").to(&app).await.outcome(), (200, "succeeded"));

    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 1));
}

#[rstest]
#[case::rows("select from delivery_failures for update")]
#[case::the_table("lock table delivery_failures")]
#[case::the_decision(
    "select pg_advisory_xact_lock(hashtextextended('schedule_failing:expire-stale-orders', 0))"
)]
#[tokio::test]
async fn failures_that_are_locked_do_not_keep_a_run_from_being_settled(
    #[case] holding: &'static str,
) {
    let app = App::new().await;
    noted(&app, &callback("msg_1")).await;
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query(holding).execute(&mut *holder).await.unwrap();

    let success = tick("msg_2").to(&app).await;

    assert_eq!(success.outcome(), (200, "succeeded"), "{success:?}");
    let settled = app.rows("select status from job_runs").await;
    assert_eq!(settled, json!([{ "status": "succeeded" }]));
    holder.rollback().await.unwrap();
    assert!(is_open(&app).await);

    assert_eq!(tick("msg_3").to(&app).await.outcome(), (200, "succeeded"));

    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 1));
}

#[tokio::test]
async fn a_line_that_the_log_refuses_costs_neither_the_alert_nor_its_end() {
    let app = App::new().await;
    app.execute(
        "alter table system_logs add constraint none check (log_type <> 'cron_schedule_failing')",
    )
    .await;

    assert_eq!(noted(&app, &callback("msg_1")).await, "opened");
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "open", 1));

    tick("msg_2").to(&app).await;

    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 1));
}
