//! The life of an alert: opened once, repeated, made more severe, resolved.

use super::seed::{ALWAYS, NOON};
use crate::app::App;

/// A gym with a kiosk that is heard and one that is not.
async fn one_down() -> (App, uuid::Uuid) {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let down = app.kiosk(gym, "online", "2 hours").await;
    let up = app.kiosk(gym, "online", "1 second").await;
    app.heard(up, "2026-02-01T00:00:00Z").await;
    // Whatever moment is replayed, there is a heartbeat just before it.
    app.execute(&format!(
        "insert into kiosk_heartbeats (kiosk_id, received_at)
         select '{up}', at from generate_series(timestamptz '2026-01-15', '2026-01-20', '4 minutes') at"
    ))
    .await;
    (app, down)
}

#[tokio::test]
async fn an_alert_is_bumped_once_an_hour_at_the_most() {
    let (app, _) = one_down().await;
    let mut seen = Vec::new();
    for at in ["11:00", "11:59", "12:00", "12:30", "13:00"] {
        app.check(&format!("2026-01-15T{at}:00Z")).await;
        seen.push(app.count("select sum(occurrences) from alerts").await);
    }
    assert_eq!(seen, [1, 1, 2, 2, 3]);
    assert_eq!(app.count("select count(*) from alerts").await, 1);
}

#[tokio::test]
async fn an_alert_is_high_after_a_day_and_critical_after_three() {
    let (app, _) = one_down().await;
    let mut told = Vec::new();
    for at in [
        "2026-01-15T11:00:00Z",
        "2026-01-16T10:59:59Z",
        "2026-01-16T11:00:00Z",
        "2026-01-17T11:00:00Z",
        "2026-01-18T10:59:59Z",
        "2026-01-18T11:00:00Z",
        "2026-01-19T11:00:00Z",
    ] {
        let results = app.check(at).await;
        let severity = app.text("select severity from alerts").await;
        told.push(format!("{severity} {}", results["alerts_escalated"]));
    }
    let expected = [
        "warning 0",
        "warning 0",
        "high 1",
        "high 0",
        "high 0",
        "critical 1",
        "critical 0",
    ];
    assert_eq!(told, expected);
    let escalated = "select escalated_at = '2026-01-18T11:00:00Z' as at from alerts";
    assert_eq!(app.rows(escalated).await[0]["at"], true);
}

#[tokio::test]
async fn severity_never_goes_down_and_an_acknowledged_alert_escalates_too() {
    let (app, _) = one_down().await;
    app.check(NOON).await;
    app.execute("update alerts set status = 'acknowledged', severity = 'critical'")
        .await;
    app.check("2026-01-16T11:00:00Z").await;
    assert_eq!(
        app.alerts().await,
        "kiosk_offline kiosk-1 critical acknowledged x2"
    );

    app.execute("update alerts set severity = 'info'").await;
    app.check("2026-01-17T11:00:00Z").await;
    assert_eq!(
        app.alerts().await,
        "kiosk_offline kiosk-1 high acknowledged x3"
    );
}

#[tokio::test]
async fn an_alert_is_resolved_when_its_kiosk_is_heard_again() {
    let (app, down) = one_down().await;
    app.check(NOON).await;
    app.heard(down, "2026-01-16T02:59:00Z").await;

    let results = app.check("2026-01-16T03:00:00Z").await;

    assert_eq!(results["alerts_resolved"], 1);
    let resolved = app
        .rows("select status, resolved_at = '2026-01-16T03:00:00Z' as at, resolved_by from alerts")
        .await;
    let expected =
        serde_json::json!([{ "status": "resolved", "at": true, "resolved_by": "system" }]);
    assert_eq!(resolved, expected);
}

#[tokio::test]
async fn another_outage_opens_another_alert() {
    let (app, down) = one_down().await;
    app.check(NOON).await;
    app.heard(down, "2026-01-16T02:59:00Z").await;
    app.check("2026-01-16T03:00:00Z").await;

    app.check("2026-01-17T03:00:00Z").await;

    assert_eq!(
        app.alerts().await,
        "kiosk_offline kiosk-1 warning resolved x1; kiosk_offline kiosk-1 warning open x1"
    );
}

#[tokio::test]
async fn an_alert_is_resolved_when_its_kiosk_is_no_longer_watched() {
    for set in [
        "status = 'retired'",
        "status = 'maintenance'",
        "maintenance_until = 'infinity'",
    ] {
        let (app, down) = one_down().await;
        app.check(NOON).await;
        app.on(down, set).await;

        app.check("2026-01-16T03:00:00Z").await;

        assert_eq!(
            app.alerts().await,
            "kiosk_offline kiosk-1 warning resolved x1",
            "{set}"
        );
    }
}

#[tokio::test]
async fn a_kiosk_that_gets_worse_changes_its_alert() {
    let (app, down) = one_down().await;
    app.heard(down, "2026-01-15T10:50:00Z").await;
    app.check(NOON).await;
    assert_eq!(app.alerts().await, "kiosk_degraded kiosk-1 warning open x1");

    app.check("2026-01-16T03:00:00Z").await;

    assert_eq!(
        app.alerts().await,
        "kiosk_degraded kiosk-1 warning resolved x1; kiosk_offline kiosk-1 warning open x1"
    );
}

#[tokio::test]
async fn a_dismissed_alert_stays_so_for_this_outage_and_not_for_the_next() {
    let (app, down) = one_down().await;
    app.check(NOON).await;
    app.execute("update alerts set status = 'dismissed'").await;
    app.check("2026-01-16T03:00:00Z").await;
    app.check("2026-01-17T03:00:00Z").await;
    assert_eq!(
        app.alerts().await,
        "kiosk_offline kiosk-1 warning dismissed x1"
    );

    app.heard(down, "2026-01-18T02:59:00Z").await;
    app.check("2026-01-18T03:00:00Z").await;
    app.check("2026-01-19T03:00:00Z").await;

    assert_eq!(
        app.alerts().await,
        "kiosk_offline kiosk-1 warning dismissed x1; kiosk_offline kiosk-1 warning open x1"
    );
}

#[tokio::test]
async fn alerts_of_another_kind_are_left_alone() {
    let (app, down) = one_down().await;
    app.execute(&format!(
        "insert into alerts (gym_id, kiosk_id, kind, dedup_key, title, opened_at)
         select gym_id, id, 'equipment_issue', 'equipment_issue:' || id, 'x', '2026-01-01'
           from kiosks where id <> '{down}'"
    ))
    .await;
    let before = app.rows("select * from alerts").await;

    app.check(NOON).await;

    let after = app
        .rows("select * from alerts where kind = 'equipment_issue'")
        .await;
    assert_eq!(after, before);
}

#[tokio::test]
async fn the_alert_of_a_kiosk_that_moved_to_another_gym_moves_on_with_it() {
    let (app, down) = one_down().await;
    app.check(NOON).await;
    let new_home = app.gym(ALWAYS).await;
    app.on(down, &format!("gym_id = '{new_home}'")).await;

    app.check("2026-01-16T03:00:00Z").await;

    assert_eq!(app.alerts().await, "kiosk_offline kiosk-1 warning open x2");
}

#[tokio::test]
async fn a_kiosk_grows_more_urgent_although_its_neighbour_comes_and_goes() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let down = app.kiosk(gym, "online", "2 hours").await;
    let flaps = app.kiosk(gym, "online", "1 minute").await;
    let mut told = Vec::new();
    for day in 15..20 {
        if day % 2 == 1 {
            app.heard(flaps, &format!("2026-01-{day}T10:59:00Z")).await;
        }
        app.check(&format!("2026-01-{day}T11:00:00Z")).await;
        let own = format!(
            "select concat_ws(' ', severity, status, 'x' || occurrences) from alerts
              where kind = 'kiosk_offline' and kiosk_id = '{down}'"
        );
        told.push(app.text(&own).await);
    }
    let expected = [
        "warning open x1",
        "warning resolved x1",
        "high open x2",
        "high resolved x2",
        "critical open x3",
    ];
    assert_eq!(told, expected);
    let before = app.fleet().await;
    app.check("2026-01-19T11:00:00Z").await;
    assert_eq!(app.fleet().await, before);
}
