//! Most of the fleet silent at once is one alert, and no flips.

use rstest::rstest;

use super::seed::{ALWAYS, JOB, NOON};
use crate::app::App;

const SECOND_NIGHT: &str = "2026-01-16T11:00:00Z";
const THIRD_NIGHT: &str = "2026-01-17T11:00:00Z";

/// Those that were last heard `before` are heard at this moment.
async fn heard_at(app: &App, at: &str, before: &str, and: &str) {
    app.execute(&format!(
        "update kiosks set last_heartbeat_at = '{at}' where last_heartbeat_at > timestamptz '{NOON}' - interval '{before}' {and}"
    ))
    .await;
}

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
    // The silence is as old as the first word of it.
    let results = app.check(THIRD_NIGHT).await;
    assert_eq!(results["status_changed"], 12, "{results}");
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

/// Twelve of twenty are gone for good; one of the others fails a day later.
#[tokio::test]
async fn a_fleet_that_has_partly_gone_is_held_through_three_nights_and_a_later_outage_is_told() {
    let app = kiosks(12, 8, 0).await;
    let results = app.check(NOON).await;
    assert_eq!(results["fleet_silent"], true, "{results}");

    heard_at(
        &app,
        "2026-01-16T10:59:50Z",
        "1 hour",
        "and slug <> 'kiosk-20'",
    )
    .await;
    heard_at(
        &app,
        "2026-01-16T08:00:00Z",
        "1 hour",
        "and slug = 'kiosk-20'",
    )
    .await;
    let results = app.check(SECOND_NIGHT).await;
    assert_eq!(results["fleet_silent"], true, "{results}");
    assert_eq!(results["status_changed"], 1, "{results}");
    assert_eq!(results["online"], 19, "{results}");
    assert_eq!(
        app.alerts().await,
        "fleet_silent critical open x2; kiosk_offline kiosk-20 warning open x1"
    );

    heard_at(
        &app,
        "2026-01-17T10:59:50Z",
        "1 hour",
        "and slug <> 'kiosk-20'",
    )
    .await;
    let results = app.check(THIRD_NIGHT).await;
    assert_eq!(
        results["fleet_silent"],
        serde_json::Value::Null,
        "{results}"
    );
    assert_eq!(results["status_changed"], 12, "{results}");
    let open = "select count(*) from alerts where status = 'open' and kind = ";
    assert_eq!(app.count(&format!("{open} 'gym_offline'")).await, 6);
    assert_eq!(app.count(&format!("{open} 'fleet_silent'")).await, 0);

    // The next night is one as any other.
    heard_at(
        &app,
        "2026-01-18T10:59:50Z",
        "1 hour",
        "and slug not in ('kiosk-20', 'kiosk-19')",
    )
    .await;
    let results = app.check("2026-01-18T11:00:00Z").await;
    assert_eq!(results["status_changed"], 1, "{results}");
}

#[tokio::test]
async fn in_the_second_night_those_that_are_heard_again_are_judged() {
    let app = kiosks(12, 0, 2).await;
    app.check(NOON).await;
    app.execute(&format!(
        "update kiosks set last_heartbeat_at = timestamptz '{SECOND_NIGHT}' - interval '1 s' where status = 'offline'"
    ))
    .await;

    let results = app.check(SECOND_NIGHT).await;

    assert_eq!(results["fleet_silent"], true, "{results}");
    assert_eq!(results["status_changed"], 2, "{results}");
    assert_eq!(results["online"], 14, "{results}");
}

/// Heartbeats stop for the others too: that is the fleet again.
#[tokio::test]
async fn when_the_rest_falls_silent_later_it_is_held_as_well() {
    let app = kiosks(22, 20, 0).await;
    app.check(NOON).await;
    heard_at(&app, "2026-01-16T01:00:00Z", "1 hour", "").await;

    let results = app.check(SECOND_NIGHT).await;

    assert_eq!(results["fleet_silent"], true, "{results}");
    assert_eq!(results["status_changed"], 0, "{results}");
    assert_eq!(app.alerts().await, "fleet_silent critical open x2");
}

#[tokio::test]
async fn an_acknowledged_word_of_silence_lets_all_be_judged_at_once() {
    let app = kiosks(12, 8, 0).await;
    app.check(NOON).await;
    app.execute("update alerts set status = 'acknowledged'")
        .await;

    let results = app.check("2026-01-15T12:00:00Z").await;

    assert_eq!(results["status_changed"], 20, "{results}");
    assert_eq!(results["offline"], 20, "{results}");
    let fleet = "select status from alerts where kind = 'fleet_silent'";
    assert_eq!(app.text(fleet).await, "resolved");
}

#[tokio::test]
async fn runs_that_come_twice_in_the_first_night_do_not_end_it() {
    let app = kiosks(12, 8, 0).await;
    for at in [
        NOON,
        "2026-01-15T11:05:00Z",
        "2026-01-15T12:00:00Z",
        "2026-01-15T19:00:00Z",
    ] {
        heard_at(&app, at, "1 hour", "").await;
        let results = app.check(at).await;
        assert_eq!(results["fleet_silent"], true, "{at}: {results}");
        assert_eq!(results["status_changed"], 0, "{at}: {results}");
    }
}
