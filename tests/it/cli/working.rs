//! `migrate` and `run`.

use super::*;
use crate::database::of_schema;
use crate::messages::Connected;

#[tokio::test]
async fn a_future_moment_exits_2() {
    let app = App::new().await;
    let done = run(
        &app.settings,
        &["run", JOB, "--as-of", "2999-01-01T00:00:00Z"],
    )
    .await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert_eq!(done.err, "jarvis-cron: --as-of lies in the future\n");
}

#[tokio::test]
async fn migrating_twice_applies_everything_once() {
    let app = App::new().await;
    app.execute(&of_schema(
        "drop schema public cascade; create schema public",
    ))
    .await;
    let settings = with(
        &app.settings,
        &[("DATABASE_DIRECT_URL", &app.database.direct_url)],
    );
    let all = jarvis_cron::database::MIGRATOR.iter().count();

    let first = run(&settings, &["migrate"]).await;
    let second = run(&settings, &["migrate"]).await;

    let said = |applied| format!("{applied} migrations applied, {all} in all\n");
    assert_eq!(
        (first.code, first.out, first.err),
        (Some(0), said(all), String::new())
    );
    assert_eq!(
        (second.code, second.out, second.err),
        (Some(0), said(0), String::new())
    );
    assert_eq!(app.count("select count(*) from job_runs").await, 0);
}

#[tokio::test]
async fn migrating_at_the_same_time_harms_nobody() {
    let app = App::new().await;
    app.execute(&of_schema(
        "drop schema public cascade; create schema public",
    ))
    .await;
    let settings = with(
        &app.settings,
        &[("DATABASE_DIRECT_URL", &app.database.direct_url)],
    );
    let migrate = || run(&settings, &["migrate"]);
    let (one, other) = tokio::join!(migrate(), migrate());
    assert_eq!(
        (one.code, other.code),
        (Some(0), Some(0)),
        "{one:?} {other:?}"
    );
}

#[tokio::test]
async fn a_dry_run_prints_its_plan_and_leaves_everything_as_it_is() {
    let app = App::new().await;
    app.stale_orders(3, 2).await;
    let before = app.checksums().await;

    let done = run(&app.settings, &["run", JOB, "--dry-run"]).await;

    let plan = done.json();
    assert_eq!((done.code, &*done.err), (Some(0), ""), "{done:?}");
    assert_eq!(
        (&plan["status"], &plan["dry_run"]),
        (&json!("succeeded"), &json!(true))
    );
    assert_eq!(plan["results"]["orders_expired"], 3);
    assert_eq!(app.checksums().await, before);
}

#[tokio::test]
async fn a_run_of_a_person_is_in_the_ledger_with_their_name_and_reason() {
    let app = App::new().await;
    let order = app.stale_order().await;
    let settings = with(&app.settings, &[("USER", "zoe")]);
    let named = [
        "run",
        JOB,
        "--actor",
        "Zoé",
        "--reason",
        "the shop was closed",
        "--limit",
        "5",
    ];

    let first = run(&settings, &named).await;
    let second = run(&settings, &["run", JOB]).await;

    assert_eq!(
        (first.code, second.code),
        (Some(0), Some(0)),
        "{first:?} {second:?}"
    );
    assert_eq!(app.order_status(order).await, "EXPIRED");
    let rows = app
        .rows("select trigger, actor, reason, options from job_runs order by id")
        .await;
    assert_eq!(
        rows,
        json!([
            { "trigger": "cli", "actor": "Zoé", "reason": "the shop was closed", "options": { "limit": 5 } },
            { "trigger": "cli", "actor": "zoe", "reason": null, "options": {} },
        ])
    );
}

#[tokio::test]
async fn a_run_of_a_person_that_leaves_work_is_not_continued_and_says_so() {
    let connected = Connected::with(&[("RUN_BUDGET_SECONDS", "1"), ("STRIPE_MAX_RPS", "40")]).await;
    let app = &connected.app;
    app.stale_orders(100, 1).await;
    app.open_intents_for_all().await;

    let done = run(&app.settings, &["run", JOB]).await;

    assert_eq!(
        (done.code, &done.json()["status"]),
        (Some(0), &json!("partial")),
        "{done:?}"
    );
    assert!(
        done.err
            .contains("run it again, or the next tick continues"),
        "{done:?}"
    );
    assert_eq!(connected.qstash.calls().len(), 0);
}

#[rstest]
#[case::migrate(&["migrate"])]
#[case::run(&["run", JOB])]
#[case::policies_list(&["policies", "list"])]
#[case::policies_set(&["policies", "set", "visits", "--enable"])]
#[tokio::test]
async fn a_database_that_is_away_exits_1_and_shows_no_password(#[case] arguments: &[&str]) {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("postgres://jarvis:hunter2@{closed}/jarvis");
    let done = run(
        &with(
            &Settings::new(),
            &[
                ("DATABASE_URL", &url),
                ("DATABASE_ACQUIRE_TIMEOUT_MS", "100"),
            ],
        ),
        arguments,
    )
    .await;
    assert_eq!((done.code, &*done.out), (Some(1), ""), "{done:?}");
    assert!(done.err.contains("database"), "{done:?}");
    assert!(!done.err.contains("hunter2"), "{done:?}");
}

/// The pool itself would only say that no connection came in time.
#[tokio::test]
async fn a_run_without_a_database_says_why() {
    let app = App::new().await;
    let mut settings = app.settings.clone();
    settings.extend([
        (
            "DATABASE_URL".to_owned(),
            "postgres://u:p@127.0.0.1:9/d".to_owned(),
        ),
        ("DATABASE_ACQUIRE_TIMEOUT_MS".to_owned(), "50".to_owned()),
    ]);

    let done = run(
        &settings,
        &[
            "run",
            "health-check-kiosks",
            "--actor",
            "a",
            "--reason",
            "b",
        ],
    )
    .await;

    assert_ne!(done.code, Some(0), "{done:?}");
    assert!(done.err.contains("Connection refused"), "{done:?}");
}
