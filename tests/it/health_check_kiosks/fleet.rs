//! Most of the fleet silent at once is one alert, and no flips.

use rstest::rstest;

use super::seed::{ALWAYS, JOB, NOON};
use crate::app::App;

/// Gyms of two: so many kiosks that just fell silent, that are heard, and
/// that have been offline for days.
async fn kiosks(silent: usize, heard: usize, offline: usize) -> App {
    let app = App::new().await;
    let mut kiosks = vec![("online", "2 hours"); silent];
    kiosks.extend(vec![("online", "1 minute"); heard]);
    kiosks.extend(vec![("offline", "5 days"); offline]);
    for pair in kiosks.chunks(2) {
        let gym = app.gym(ALWAYS).await;
        for (status, silent) in pair {
            app.kiosk(gym, status, silent).await;
        }
    }
    app
}

#[tokio::test]
async fn a_silent_fleet_is_one_alert_and_nothing_else_changes() {
    let app = kiosks(12, 4, 6).await;
    app.alert_for_all_offline("4 days").await;
    let kiosks = app.rows("select * from kiosks order by id").await;
    let alerts = app.rows("select * from alerts order by id").await;

    let results = app.check(NOON).await;

    let counts = [
        "total",
        "online",
        "degraded",
        "offline",
        "untouched",
        "status_changed",
    ];
    let counts = counts.map(|name| results[name].as_i64().unwrap());
    assert_eq!(counts, [22, 16, 0, 6, 0, 0], "{results}");
    assert_eq!(results["fleet_silent"], true);
    assert_eq!(results["uptime"], serde_json::Value::Null);
    assert_eq!(
        (&results["alerts_opened"], &results["alerts_escalated"]),
        (&1.into(), &0.into())
    );
    assert_eq!(app.rows("select * from kiosks order by id").await, kiosks);
    let others = "select * from alerts where kind <> 'fleet_silent' order by id";
    assert_eq!(app.rows(others).await, alerts);
    let alert = app
        .rows("select gym_id, kiosk_id, severity, status, dedup_key, details from alerts where kind = 'fleet_silent'")
        .await;
    let expected = serde_json::json!([{
        "gym_id": null, "kiosk_id": null, "severity": "critical", "status": "open",
        "dedup_key": "fleet_silent",
        "details": { "not_offline_before": 16, "silent_now": 12 },
    }]);
    assert_eq!(alert, expected);
}

#[rstest]
#[case::ten_of_nineteen(10, 9, 0, true)]
#[case::ten_of_twenty(10, 10, 0, false)]
#[case::all_nine(9, 0, 0, false)]
#[case::ten_of_ten_beside_many_long_gone(10, 0, 30, true)]
#[tokio::test]
async fn the_fleet_is_silent_with(
    #[case] silent: usize,
    #[case] heard: usize,
    #[case] offline: usize,
    #[case] is: bool,
) {
    let app = kiosks(silent, heard, offline).await;

    let results = app.check(NOON).await;

    assert_eq!(results["fleet_silent"] == true, is, "{results}");
}

#[tokio::test]
async fn a_fleet_that_is_heard_again_goes_on_as_if_nothing_had_been() {
    let app = kiosks(12, 0, 2).await;
    app.check(NOON).await;
    app.check("2026-01-15T12:30:00Z").await;
    assert_eq!(app.alerts().await, "fleet_silent critical open x2");
    app.execute(
        "update kiosks set last_heartbeat_at = '2026-01-16T02:59:50Z' where status = 'online'",
    )
    .await;

    let results = app.check("2026-01-16T03:00:00Z").await;

    assert_eq!(
        (&results["online"], &results["alerts_resolved"]),
        (&12.into(), &1.into())
    );
    assert_eq!(
        app.alerts().await,
        "fleet_silent critical resolved x1; gym_offline high open x1"
            .replace("resolved x1", "resolved x2")
    );
}

#[tokio::test]
async fn a_second_run_over_a_silent_fleet_changes_nothing() {
    let app = kiosks(12, 0, 0).await;
    app.check(NOON).await;
    let before = app.fleet().await;

    let results = app.check("2026-01-15T11:10:00Z").await;

    assert_eq!(results["alerts_opened"], 0);
    assert_eq!(app.fleet().await, before);
}

#[tokio::test]
async fn a_dismissed_word_of_silence_is_not_repeated_before_a_day_is_over() {
    let app = kiosks(12, 0, 0).await;
    app.check(NOON).await;
    app.execute("update alerts set status = 'dismissed'").await;

    app.check("2026-01-15T20:00:00Z").await;
    assert_eq!(app.alerts().await, "fleet_silent critical dismissed x1");

    app.check("2026-01-16T11:30:00Z").await;
    assert_eq!(
        app.alerts().await,
        "fleet_silent critical dismissed x1; fleet_silent critical open x1"
    );
}

#[tokio::test]
async fn a_dry_run_over_a_silent_fleet_tells_and_changes_nothing() {
    let app = kiosks(12, 0, 0).await;
    let before = app.checksums().await;

    let reply = app
        .operate(JOB, &format!("as_of={NOON}&dry_run=true"))
        .await;

    assert_eq!(reply.results()["alerts_opened"], 1, "{reply:?}");
    assert_eq!(
        reply.results()["samples"]["alerts_opened"][0],
        "fleet_silent"
    );
    assert_eq!(app.checksums().await, before);
}

#[tokio::test]
async fn one_gym_alone_is_never_the_fleet() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    for _ in 0..12 {
        app.kiosk(gym, "online", "2 hours").await;
    }

    let reply = app
        .operate(JOB, &format!("as_of={NOON}&gym_id={gym}"))
        .await;

    assert_eq!(reply.results()["status_changed"], 12, "{reply:?}");
    assert_eq!(app.alerts().await, "gym_offline high open x1");
}
