//! `policies list` and `policies set`.

use super::*;

mod files;
mod unfit;

/// Nothing but the database is needed.
fn database_of(app: &App) -> Settings {
    reaching(&app.settings["DATABASE_URL"])
}

async fn set(app: &App, arguments: &[&str]) -> Done {
    run(
        &database_of(app),
        &[&["policies", "set"], arguments].concat(),
    )
    .await
}

async fn visits(app: &App) -> Value {
    app.rows(
        "select keep_days, legal_basis, enabled from retention_policies where target = 'visits'",
    )
    .await
}

#[tokio::test]
async fn every_policy_is_listed_with_its_floor_and_its_legal_basis() {
    let app = App::new().await;

    let table = run(&database_of(&app), &["policies", "list"]).await;
    let listed = run(&database_of(&app), &["policies", "list", "--json"]).await;

    assert_eq!((table.code, &*table.err), (Some(0), ""), "{table:?}");
    for part in [
        "conversation_events",
        "anonymise",
        "1095",
        "30",
        "CNIL",
        "art. 5(1)(e)",
    ] {
        assert!(table.out.contains(part), "{part} is not in\n{}", table.out);
    }
    let listed = listed.json();
    let targets: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy["target"].as_str().unwrap())
        .collect();
    assert_eq!(targets.len(), 12);
    assert_eq!(targets[0], "conversation_events");
    let logs = &listed[7];
    assert!(logs["updated_at"].is_string());
    assert_eq!(
        [
            &logs["target"],
            &logs["action"],
            &logs["keep_days"],
            &logs["floor_days"],
            &logs["enabled"]
        ],
        [
            &json!("system_logs"),
            &json!("delete"),
            &json!(180),
            &json!(30),
            &json!(true)
        ]
    );
    assert!(logs["legal_basis"].as_str().unwrap().contains("CNIL"));
}

#[tokio::test]
async fn a_change_shows_both_values_and_is_on_record_with_its_author() {
    let app = App::new().await;
    let basis = "GDPR art. 5(1)(e): contract and attendance, three years as for the member";
    app.execute("update retention_policies set updated_at = '2026-01-01'")
        .await;

    let done = set(
        &app,
        &[
            "visits",
            "--keep-days",
            "730",
            "--actor",
            "Zoé",
            "--reason",
            "decided by the board",
        ],
    )
    .await;

    assert_eq!((done.code, &*done.err), (Some(0), ""), "{done:?}");
    assert_eq!(
        done.out,
        format!(
            "visits\n  before: delete after 1095 days; {basis}\n  after:  delete after 730 days; {basis}\n\
             See what it means: jarvis-cron run cleanup-old-data --dry-run\n"
        )
    );
    let policy = json!([{ "keep_days": 730, "legal_basis": basis, "enabled": true }]);
    assert_eq!(visits(&app).await, policy);
    let touched = "select count(*) from retention_policies where updated_at > '2026-01-01'";
    assert_eq!(app.count(touched).await, 1);
    let record = app
        .rows("select event_type, entity_type, entity_id, actor, payload from audit_events")
        .await;
    assert_eq!(
        record,
        json!([{
            "event_type": "local.retention_policy.changed", "entity_type": "retention_policy",
            "entity_id": "visits", "actor": "Zoé",
            "payload": {
                "before": { "keep_days": 1095, "legal_basis": basis, "enabled": true },
                "after": { "keep_days": 730, "legal_basis": basis, "enabled": true },
                "reason": "decided by the board",
            },
        }])
    );
}

#[tokio::test]
async fn a_policy_is_disabled_and_enabled_with_a_new_basis() {
    let app = App::new().await;

    let off = set(&app, &["visits", "--disable"]).await;
    assert_eq!(off.code, Some(0), "{off:?}");
    assert!(off.out.contains("1095 days, disabled; GDPR"), "{off:?}");
    assert_eq!(visits(&app).await[0]["enabled"], false);
    let on = set(
        &app,
        &["visits", "--enable", "--legal-basis", " a new law "],
    )
    .await;

    assert_eq!(on.code, Some(0), "{on:?}");
    let policy = json!([{ "keep_days": 1095, "legal_basis": "a new law", "enabled": true }]);
    assert_eq!(visits(&app).await, policy);
    assert_eq!(app.count("select count(*) from audit_events").await, 2);
}

#[tokio::test]
async fn a_change_to_what_is_already_so_is_none() {
    let app = App::new().await;
    let before = app.checksums().await;

    let done = set(&app, &["visits", "--keep-days", "1095", "--enable"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.ends_with("Nothing was changed.\n"), "{done:?}");
    assert_eq!(app.checksums().await, before);
}

#[rstest]
#[case::the_floor("system_logs", "30")]
#[case::a_hundred_years("visits", "36500")]
#[tokio::test]
async fn the_fewest_and_the_most_days_are_accepted(#[case] target: &str, #[case] days: &str) {
    let app = App::new().await;
    let done = set(&app, &[target, "--keep-days", days]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[rstest]
#[case::under_the_floor(&["system_logs", "--keep-days", "29"], "system_logs must be kept for at least 30 days, not 29")]
#[case::for_no_time(&["visits", "--keep-days", "0"], "visits must be kept for at least 1 days, not 0")]
#[case::for_less_than_no_time(&["visits", "--keep-days", "-5"], "visits must be kept for at least 1 days, not -5")]
#[case::for_ages(&["visits", "--keep-days", "36501"], "visits can be kept for 36500 days at the most; to keep it for ever, disable the policy")]
#[case::without_a_basis(&["visits", "--legal-basis", " "], "a policy needs its legal basis")]
#[case::of_the_books(&["orders", "--keep-days", "30"], "there is no policy for \"orders\"; there are: conversation_events, conversation_sessions, kiosk_heartbeats, alerts, visits, member_churn_history, members, system_logs, job_runs, delivery_failures, report_deliveries, audit_events")]
#[case::of_nothing(&["x'; drop table members", "--keep-days", "30"], "there is no policy for \"x'; drop table members\"; there are: conversation_events, conversation_sessions, kiosk_heartbeats, alerts, visits, member_churn_history, members, system_logs, job_runs, delivery_failures, report_deliveries, audit_events")]
#[case::without_a_change(&["visits"], "say what to change: --keep-days, --legal-basis, --enable or --disable")]
#[tokio::test]
async fn a_change_that_cannot_be_meant_is_one_line_and_exit_2(
    #[case] arguments: &[&str],
    #[case] why: &str,
) {
    let app = App::new().await;
    // A row alone brings nothing within reach.
    app.execute(
        "insert into retention_policies (target, action, keep_days, legal_basis)
         values ('orders', 'delete', 90, 'none')",
    )
    .await;
    let before = app.checksums().await;

    let done = set(&app, arguments).await;

    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    assert_eq!(done.err, format!("jarvis-cron: {why}\n"));
    assert_eq!(app.checksums().await, before);
}

#[tokio::test]
async fn a_policy_under_its_floor_cannot_be_enabled() {
    let app = App::new().await;
    app.execute(
        "update retention_policies set keep_days = 3, enabled = false where target = 'job_runs'",
    )
    .await;

    let done = set(&app, &["job_runs", "--enable"]).await;

    assert_eq!(done.code, Some(2), "{done:?}");
    let done = set(&app, &["job_runs", "--enable", "--keep-days", "30"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
}
