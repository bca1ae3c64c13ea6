//! weekly-reports: what a report counts, when it is made, and when not again.

use serde_json::{Value, json};

use crate::app::App;

mod batches;
mod dry_run;
mod figures;
mod kiosks;
mod links;
mod mail;
mod pages;
mod plans;
mod rows;
mod statements;
mod swipes;
mod weeks;

const JOB: &str = "weekly-reports";
/// A Monday morning in Paris, after 2025-W05: 27 January to 2 February.
const MONDAY: &str = "as_of=2025-02-03T05:00:00Z";

#[tokio::test]
async fn a_week_is_reported_with_last_weeks_numbers_and_the_change() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    let (ada, bob) = (app.member(gym).await, app.member(gym).await);
    // 18:30 on a Monday, 00:10 on a Sunday, and the last second of the week.
    app.visit(gym, ada, "2025-01-27T17:30:00Z").await;
    app.visit(gym, bob, "2025-02-01T23:10:00Z").await;
    app.visit(gym, ada, "2025-02-02T22:59:59Z").await;
    // The next week, the week before, and the one before that.
    app.visit(gym, ada, "2025-02-02T23:00:00Z").await;
    app.visit(gym, bob, "2025-01-26T22:59:59Z").await;
    app.visit(gym, bob, "2025-01-20T12:00:00Z").await;
    app.visit(gym, bob, "2025-01-19T22:59:59Z").await;

    let reply = app.operate(JOB, MONDAY).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let counts = json!({ "total": 1, "generated": 1, "unchanged": 0, "empty": 0, "skipped": 0,
                         "errors": 0, "emails_sent": 0, "emails_failed": 0, "emails_waiting": 0 });
    assert_eq!(*reply.results(), counts);
    let report = app.report(gym).await;
    assert_eq!(report["iso_year"], 2025);
    assert_eq!(report["iso_week"], 5);
    assert_eq!(report["period_start"], "2025-01-26T23:00:00+00:00");
    assert_eq!(report["period_end"], "2025-02-02T23:00:00+00:00");
    let metrics = &report["metrics"];
    assert_eq!(
        metrics["visits"],
        json!({ "value": 3, "previous": 2, "change": 0.5 })
    );
    assert_eq!(
        metrics["unique_visitors"],
        json!({ "value": 2, "previous": 1, "change": 1.0 })
    );
    let days: Vec<&Value> = metrics["visits_by_day"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert_eq!(
        *days[0],
        json!({ "value": 1, "previous": 1, "change": 0.0 })
    );
    assert_eq!(
        *days[6],
        json!({ "value": 2, "previous": 1, "change": 1.0 })
    );
    assert_eq!(metrics["visits_by_hour"][0][18], 1);
    assert_eq!(metrics["visits_by_hour"][6][0], 1);
    assert_eq!(metrics["visits_by_hour"][6][23], 1);
}

#[tokio::test]
async fn a_change_from_nothing_is_null() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    let ada = app.member(gym).await;
    app.visit(gym, ada, "2025-01-28T10:00:00Z").await;

    app.operate(JOB, MONDAY).await;

    let metrics = &app.report(gym).await["metrics"];
    assert_eq!(
        metrics["visits"],
        json!({ "value": 1, "previous": 0, "change": null })
    );
    let unknown = json!({ "value": null, "previous": null, "change": null });
    for figure in [
        "avg_sentiment",
        "churn_high",
        "churn_critical",
        "kiosk_uptime",
    ] {
        assert_eq!(metrics[figure], unknown, "{figure}");
    }
}

#[tokio::test]
async fn an_empty_week_is_a_report_too() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;

    let reply = app.operate(JOB, MONDAY).await;

    assert_eq!(reply.results()["generated"], 1);
    assert_eq!(reply.results()["empty"], 1);
    let report = app.report(gym).await;
    assert_eq!(report["insights"], json!([{ "code": "empty_week" }]));
    assert_eq!(
        report["recommendations"],
        json!([{ "code": "check_readers" }])
    );
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    app.busy_week(gym).await;
    app.operate(JOB, MONDAY).await;
    let before = app.checksums_but_logs().await;

    let again = app.operate(JOB, MONDAY).await;
    let forced = app.operate(JOB, &format!("{MONDAY}&force=true")).await;

    for reply in [again, forced] {
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        assert_eq!(reply.results()["unchanged"], 1);
        assert_eq!(reply.results()["generated"], 0);
    }
    assert_eq!(app.checksums_but_logs().await, before);
}

#[tokio::test]
async fn late_data_waits_for_force_which_keeps_the_old_hash() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    let ada = app.member(gym).await;
    app.visit(gym, ada, "2025-01-28T10:00:00Z").await;
    app.operate(JOB, MONDAY).await;
    let first = app.report(gym).await;
    app.visit(gym, ada, "2025-01-29T10:00:00Z").await;

    let unforced = app.operate(JOB, MONDAY).await;
    assert_eq!(unforced.results()["unchanged"], 1);
    assert_eq!(app.report(gym).await, first);
    let forced = app.operate(JOB, &format!("{MONDAY}&force=true")).await;

    assert_eq!(forced.results()["generated"], 1);
    let second = app.report(gym).await;
    assert_eq!(second["id"], first["id"]);
    assert_eq!(second["metrics"]["visits"]["value"], 2);
    let events = app
        .rows("select event_type, entity_id, run_id, payload from audit_events")
        .await;
    let event = json!({
        "event_type": "local.report.regenerated", "entity_id": first["id"],
        "run_id": forced.body["run_id"],
        "payload": { "gym_id": gym, "iso_year": 2025, "iso_week": 5,
                     "old_hash": first["content_hash"], "new_hash": second["content_hash"] } });
    assert_eq!(events, json!([event]));
}

#[tokio::test]
async fn only_gyms_that_were_there_and_are_active_get_a_report() {
    let app = App::new().await;
    let active = app.gym_called("active", "Europe/Paris").await;
    let asked_for = app.gym_called("suspended", "Europe/Paris").await;
    app.execute(
        "update gyms set status = 'suspended' where slug = 'suspended';
         insert into gyms (name, slug, status, created_at)
         values ('New', 'new', 'active', '2025-02-03T01:00:00Z'),
                ('Later', 'later', 'active', '2025-02-04T01:00:00Z'),
                ('Nowhere', 'nowhere', 'active', '2019-01-01');
         update gyms set timezone = 'UTC+3' where slug = 'nowhere';",
    )
    .await;

    let all = app.operate(JOB, MONDAY).await;
    let one = app
        .operate(JOB, &format!("{MONDAY}&gym_id={asked_for}"))
        .await;

    assert_eq!(all.outcome(), (200, "succeeded"), "{all:?}");
    assert_eq!(all.results()["total"], 3);
    assert_eq!(all.results()["generated"], 1);
    assert_eq!(all.results()["skipped"], 1);
    assert_eq!(all.results()["errors"], 1);
    let error = all.results()["failures"][0]["error"].as_str().unwrap();
    assert!(error.contains("UTC+3"), "{error}");
    assert_eq!(one.results()["skipped"], 1);
    assert_eq!(
        app.rows("select gym_id from weekly_reports").await,
        json!([{ "gym_id": active }])
    );
}

#[tokio::test]
async fn a_run_that_was_cut_short_is_finished_by_the_next() {
    let app = App::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    app.gyms(3_000).await;

    let cut = app.operate(JOB, &format!("{MONDAY}&batch_size=1")).await;
    assert_eq!(cut.outcome(), (200, "partial"), "{cut:?}");
    let done = cut.results()["generated"].as_i64().unwrap();
    assert_eq!(app.count("select count(*) from weekly_reports").await, done);
    // Put back by hand what the first run had time for, and no more.
    app.execute("update gyms set status = 'cancelled' where slug > 'gym-0300'")
        .await;
    let left = app.operate(JOB, &format!("{MONDAY}&batch_size=1000")).await;

    assert_eq!(left.outcome(), (200, "succeeded"), "{left:?}");
    let reports = "select count(*) from weekly_reports join gyms on gyms.id = gym_id where slug <= 'gym-0300'";
    assert_eq!(app.count(reports).await, 300);
    assert_eq!(
        app.count("select count(distinct gym_id) from weekly_reports")
            .await,
        app.count("select count(*) from weekly_reports").await
    );
}

#[tokio::test]
async fn a_row_that_another_transaction_holds_spoils_no_other_report() {
    let app = App::impatient().await;
    app.gyms(3).await;
    app.operate(JOB, MONDAY).await;
    app.execute("update weekly_reports set content_hash = 'old'")
        .await;
    let mut held = app.db.begin().await.unwrap();
    sqlx::query("select from weekly_reports order by gym_id limit 1 for update")
        .execute(&mut *held)
        .await
        .unwrap();

    let reply = app.operate(JOB, &format!("{MONDAY}&force=true")).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["generated"], 2);
    assert_eq!(reply.results()["errors"], 1);
}
