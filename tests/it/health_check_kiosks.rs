//! health-check-kiosks, from request to statuses and alerts.

use serde_json::{Value, json};

use crate::app::App;

mod alerts;
mod demo;
mod dry_run;
mod fleet;
mod gyms;
mod hours;
mod maintenance;
mod plans;
mod races;
mod seed;
mod statements;
mod statuses;
mod timeline;
mod too_long;
mod trouble;
mod uptime;

use seed::{ALWAYS, JOB, NOON};

#[tokio::test]
async fn a_silent_kiosk_goes_offline_and_an_alert_says_why_and_what_to_do() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    app.kiosk(gym, "online", "10 seconds").await;
    let silent = app.kiosk(gym, "online", "31 minutes").await;

    let reply = app.operate(JOB, &format!("as_of={NOON}")).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(
        *reply.results(),
        json!({ "total": 2, "online": 1, "degraded": 0, "offline": 1, "untouched": 0,
                "status_changed": 1, "alerts_opened": 1, "alerts_resolved": 0,
                "alerts_escalated": 0, "uptime": null, "errors": [] })
    );
    let alert = app
        .rows("select kind, severity, status, gym_id, kiosk_id, dedup_key, title, details, occurrences from alerts")
        .await;
    assert_eq!(
        alert,
        json!([{
            "kind": "kiosk_offline", "severity": "warning", "status": "open", "gym_id": gym,
            "kiosk_id": silent, "dedup_key": format!("kiosk_offline:{silent}"),
            "title": "Kiosk Kiosk 2 (kiosk-2) is offline",
            "details": { "slug": "kiosk-2", "silent_since": "2026-01-15T10:29:00+00:00",
                         "has_wrong_clock": false },
            "occurrences": 1,
        }])
    );
    let actions = app
        .rows("select recommended_actions as a from alerts")
        .await;
    let actions = actions[0]["a"].to_string().to_lowercase();
    for word in ["power", "network", "restart", "support"] {
        assert!(actions.contains(word), "nothing about {word}: {actions}");
    }
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let app = App::new().await;
    app.a_fleet_of_every_kind().await;
    app.check(NOON).await;
    let mut after_the_first = app.checksums().await;

    let again = app.check(NOON).await;
    let later = app.check("2026-01-15T11:00:30Z").await;

    for results in [again, later] {
        for count in [
            "status_changed",
            "alerts_opened",
            "alerts_resolved",
            "alerts_escalated",
        ] {
            assert_eq!(results[count], 0, "{count} in {results}");
        }
    }
    let mut after_the_third = app.checksums().await;
    // Every settled run has its line.
    after_the_first.remove("system_logs");
    after_the_third.remove("system_logs");
    assert_eq!(after_the_first, after_the_third);
}

#[tokio::test]
async fn a_run_over_nothing_at_all_succeeds() {
    let app = App::new().await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"));
    assert_eq!(reply.results()["uptime"], Value::Null);
    assert_eq!(
        reply.body["message"],
        "health-check-kiosks succeeded: nothing to do"
    );
}

#[tokio::test]
async fn a_run_over_one_gym_leaves_the_others_alone() {
    let app = App::new().await;
    let (one, other) = (app.gym(ALWAYS).await, app.gym(ALWAYS).await);
    let here = app.kiosk(one, "online", "2 hours").await;
    let there = app.kiosk(other, "online", "2 hours").await;

    let reply = app
        .operate(JOB, &format!("as_of={NOON}&gym_id={one}"))
        .await;

    assert_eq!(reply.results()["total"], 1, "{reply:?}");
    assert_eq!(app.status(here).await, "offline");
    assert_eq!(app.status(there).await, "online");
}

#[tokio::test]
async fn small_batches_do_the_same_as_one() {
    let app = App::new().await;
    let other = App::new().await;
    app.a_fleet_of_every_kind().await;
    other.a_fleet_of_every_kind().await;

    let at_once = app.check(NOON).await;
    let reply = other
        .operate(JOB, &format!("as_of={NOON}&batch_size=1"))
        .await;

    assert_eq!(*reply.results(), at_once);
    assert_eq!(app.fleet().await, other.fleet().await);
}
