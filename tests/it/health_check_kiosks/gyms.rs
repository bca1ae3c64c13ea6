//! A whole gym down is one alert.

use uuid::Uuid;

use super::seed::{ALWAYS, NOON};
use crate::app::App;

async fn two_kiosks(silent: [&str; 2]) -> (App, Uuid, [Uuid; 2]) {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let one = app.kiosk(gym, "online", silent[0]).await;
    let other = app.kiosk(gym, "online", silent[1]).await;
    (app, gym, [one, other])
}

#[tokio::test]
async fn a_gym_with_every_kiosk_down_is_one_alert() {
    let (app, gym, _) = two_kiosks(["2 hours", "3 hours"]).await;

    let results = app.check(NOON).await;

    assert_eq!(
        (&results["offline"], &results["alerts_opened"]),
        (&2.into(), &1.into())
    );
    assert_eq!(app.alerts().await, "gym_offline high open x1");
    let alert = app
        .rows("select gym_id, kiosk_id, dedup_key, title, details from alerts")
        .await;
    let expected = serde_json::json!([{
        "gym_id": gym, "kiosk_id": null, "dedup_key": format!("gym_offline:{gym}"),
        "title": "All 2 kiosks of Gym 1 are offline",
        "details": { "slug": "gym-1", "kiosks": 2, "silent_since": "2026-01-15T09:00:00+00:00" },
    }]);
    assert_eq!(alert, expected);
}

#[tokio::test]
async fn the_only_kiosk_of_a_gym_is_a_kiosk() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    app.kiosk(gym, "online", "2 hours").await;
    app.kiosk(gym, "retired", "2 hours").await;

    app.check(NOON).await;

    assert_eq!(app.alerts().await, "kiosk_offline kiosk-1 warning open x1");
}

#[tokio::test]
async fn a_gym_that_goes_down_and_comes_back_kiosk_by_kiosk() {
    let (app, _, [one, other]) = two_kiosks(["2 hours", "-10 hours"]).await;
    app.beat(other, "2026-01-15T10:59:00Z", "2026-01-15T10:59:00Z")
        .await;
    app.check(NOON).await;
    assert_eq!(app.alerts().await, "kiosk_offline kiosk-1 warning open x1");

    // The other one falls silent too: its gym's alert takes over.
    app.heard(other, "2026-01-15T11:00:00Z").await;
    let down = app.check("2026-01-16T03:00:00Z").await;
    assert_eq!(
        app.alerts().await,
        "kiosk_offline kiosk-1 warning resolved x1; gym_offline high open x1"
    );
    assert_eq!(
        (&down["alerts_opened"], &down["alerts_resolved"]),
        (&1.into(), &1.into())
    );
    let superseded = "select details ->> 'superseded_by' from alerts where kiosk_id is not null";
    assert_eq!(app.text(superseded).await, "gym_offline");

    // The first one is back; the other still down, and has its own alert now.
    app.heard(one, "2026-01-17T02:59:00Z").await;
    app.check("2026-01-17T03:00:00Z").await;
    assert_eq!(
        app.alerts().await,
        "kiosk_offline kiosk-1 warning resolved x1; gym_offline high resolved x1; \
         kiosk_offline kiosk-2 warning open x1"
    );
}

#[tokio::test]
async fn a_gym_that_stays_down_is_critical_after_three_days() {
    let (app, ..) = two_kiosks(["2 hours", "3 hours"]).await;
    for (day, severity) in [
        (15, "high x1"),
        (16, "high x2"),
        (17, "high x3"),
        (18, "critical x4"),
    ] {
        app.check(&format!("2026-01-{day}T11:00:00Z")).await;
        let (severity, times) = severity.split_once(' ').unwrap();
        assert_eq!(
            app.alerts().await,
            format!("gym_offline {severity} open {times}"),
            "{day}"
        );
    }
}

#[tokio::test]
async fn a_dismissed_gym_stays_dismissed_until_a_kiosk_changes() {
    let (app, _, [one, _]) = two_kiosks(["2 hours", "3 hours"]).await;
    app.check(NOON).await;
    app.execute("update alerts set status = 'dismissed'").await;
    app.check("2026-01-16T03:00:00Z").await;
    assert_eq!(app.alerts().await, "gym_offline high dismissed x1");

    app.heard(one, "2026-01-17T02:59:00Z").await;
    app.check("2026-01-17T03:00:00Z").await;
    app.check("2026-01-18T03:00:00Z").await;

    assert_eq!(
        app.alerts().await,
        "gym_offline high dismissed x1; kiosk_offline kiosk-2 warning resolved x1; \
         gym_offline high open x1"
    );
}

#[tokio::test]
async fn the_alert_of_a_gym_that_is_given_up_is_over() {
    let (app, ..) = two_kiosks(["2 hours", "3 hours"]).await;
    app.check(NOON).await;
    app.execute("update gyms set status = 'suspended'").await;

    app.check("2026-01-16T03:00:00Z").await;

    assert_eq!(app.alerts().await, "gym_offline high resolved x1");
}
