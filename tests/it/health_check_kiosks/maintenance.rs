//! Planned maintenance is no downtime, also when the kiosk's row tells of it no
//! more.

use serde_json::json;
use uuid::Uuid;

use super::seed::{ALWAYS, JOB, NOON};
use crate::app::App;

/// A kiosk that was heard but for six hours, which end at seven on that Thursday.
async fn heard_but_for_six_hours(app: &App) -> Uuid {
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "1 second").await;
    app.beats(kiosk, "2026-01-12T11:00Z", "2026-01-15T01:00Z", "1 minute")
        .await;
    app.beats(kiosk, "2026-01-15T07:00Z", NOON, "1 minute")
        .await;
    kiosk
}

async fn spans(app: &App) -> serde_json::Value {
    app.rows(
        "select to_char(starts_at, 'DD HH24:MI') as starts, to_char(ends_at, 'DD HH24:MI') as ends
           from kiosk_maintenances order by starts_at",
    )
    .await
}

#[tokio::test]
async fn without_a_plan_the_six_hours_are_downtime() {
    let app = App::new().await;
    heard_but_for_six_hours(&app).await;

    app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([0.75]));
}

#[rstest::rstest]
#[case::on_to_a_planned_end(
    "status = 'maintenance', status_since = '2026-01-15T01:00Z', maintenance_until = '2026-01-15T07:00Z'"
)]
#[case::over_and_never_seen("maintenance_until = '2026-01-15T07:00Z'")]
#[case::over_later_than_it_was_back("maintenance_until = '2026-01-15T07:20Z'")]
#[tokio::test]
async fn a_planned_maintenance_is_left_out_of_the_uptime(#[case] set: &str) {
    let app = App::new().await;
    let kiosk = heard_but_for_six_hours(&app).await;
    app.on(kiosk, set).await;

    app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([1]));
    assert_eq!(app.status(kiosk).await, "online");
}

/// `status_since` is ten days old, and for nine of them the kiosk was heard.
#[rstest::rstest]
#[case::without_end("maintenance_until = null")]
#[case::until_tonight("maintenance_until = '2026-01-15T20:00Z'")]
#[case::older_than_what_is_kept("status_since = '2025-03-01', maintenance_until = null")]
#[tokio::test]
async fn a_maintenance_that_was_set_without_its_begin_takes_nothing_from_the_days_before(
    #[case] set: &str,
) {
    let app = App::new().await;
    let kiosk = heard_but_for_six_hours(&app).await;
    app.beats(kiosk, "2026-01-05T11:00Z", "2026-01-05T12:00Z", "1 minute")
        .await;
    app.on(kiosk, &format!("status = 'maintenance', {set}"))
        .await;

    app.check(NOON).await;

    // It begins with the last beat, in the last of 288 slots.
    assert_eq!(app.uptimes().await, json!([0.7491]));
}

#[tokio::test]
async fn what_a_night_has_seen_is_left_out_when_the_row_tells_of_it_no_more() {
    let app = App::new().await;
    let kiosk = heard_but_for_six_hours(&app).await;
    app.on(
        kiosk,
        "status = 'maintenance', status_since = '2026-01-15T01:00Z', maintenance_until = '2026-01-15T20:00Z'",
    )
    .await;
    app.check("2026-01-15T02:00:00Z").await;
    // Back earlier than planned.
    app.on(
        kiosk,
        "status = 'online', status_since = '2026-01-15T07:00Z', maintenance_until = null",
    )
    .await;

    app.check(NOON).await;

    let expected = json!([{ "starts": "15 01:00", "ends": "15 07:00" }]);
    assert_eq!(spans(&app).await, expected);
    assert_eq!(app.uptimes().await, json!([1]));
}

#[tokio::test]
async fn a_maintenance_that_a_night_ends_is_recorded_before_the_status_turns() {
    let app = App::new().await;
    let kiosk = heard_but_for_six_hours(&app).await;
    app.on(
        kiosk,
        "status = 'maintenance', status_since = '2026-01-15T01:00Z', maintenance_until = '2026-01-15T07:00Z'",
    )
    .await;

    app.check("2026-01-15T08:00:00Z").await;
    let since = app.text("select status_since::text from kiosks").await;
    app.on(kiosk, "maintenance_until = null").await;
    app.check(NOON).await;

    assert!(since.starts_with("2026-01-15 08:00:00"), "{since}");
    let expected = json!([{ "starts": "15 01:00", "ends": "15 07:00" }]);
    assert_eq!(spans(&app).await, expected);
    assert_eq!(app.uptimes().await, json!([1]));
}

#[tokio::test]
async fn a_maintenance_that_is_prolonged_and_then_open_is_one() {
    let app = App::new().await;
    let kiosk = heard_but_for_six_hours(&app).await;
    let on = "status = 'maintenance', status_since = '2026-01-15T01:00Z'";
    for until in ["'2026-01-15T04:00Z'", "'2026-01-15T12:00Z'", "null"] {
        app.on(kiosk, &format!("{on}, maintenance_until = {until}"))
            .await;
        app.check("2026-01-15T02:00:00Z").await;
    }

    let expected = json!([{ "starts": "15 01:00", "ends": "infinity" }]);
    let ends = "select to_char(starts_at, 'DD HH24:MI') as starts, ends_at::text as ends from kiosk_maintenances";
    assert_eq!(app.rows(ends).await, expected);
    app.check(NOON).await;
    // What came before it counts.
    assert_eq!(app.uptimes().await, json!([1]));
}

#[tokio::test]
async fn a_kiosk_that_is_in_maintenance_all_day_has_no_uptime() {
    let app = App::new().await;
    let kiosk = heard_but_for_six_hours(&app).await;
    app.beats(kiosk, "2026-01-09T11:00Z", "2026-01-10T00:00Z", "1 minute")
        .await;
    app.on(
        kiosk,
        "status = 'maintenance', status_since = '2026-01-10', maintenance_until = '2026-02-01'",
    )
    .await;

    app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([null]));
}

#[tokio::test]
async fn a_dry_run_records_no_maintenance_and_old_ones_are_forgotten() {
    let app = App::new().await;
    let kiosk = heard_but_for_six_hours(&app).await;
    app.on(kiosk, "maintenance_until = '2026-01-15T07:00Z'")
        .await;
    app.execute(&format!(
        "insert into kiosk_maintenances values ('{kiosk}', '2025-10-01', '2025-10-02')"
    ))
    .await;

    app.operate(JOB, &format!("as_of={NOON}&dry_run=true"))
        .await;
    assert_eq!(
        spans(&app).await,
        json!([{ "starts": "01 00:00", "ends": "02 00:00" }])
    );
    app.check(NOON).await;

    assert_eq!(
        spans(&app).await,
        json!([{ "starts": "15 00:59", "ends": "15 07:00" }])
    );
}
