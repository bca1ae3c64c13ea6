//! The demo's sample data has work for the job at any hour of any day.

use rstest::rstest;

use crate::app::App;

/// The parts of the sample that this job reads, and what they build on.
const KIOSKS: [&str; 5] = [
    include_str!("../../../src/demo/sample/setup.sql"),
    include_str!("../../../src/demo/sample/gyms.sql"),
    include_str!("../../../src/demo/sample/members.sql"),
    include_str!("../../../src/demo/sample/kiosks.sql"),
    include_str!("../../../src/demo/sample/alerts.sql"),
];

#[rstest]
#[case::thursday_noon("2026-01-15T11:00:00Z")]
#[case::in_the_night("2026-01-15T02:00:00Z")]
#[case::just_after_opening("2026-01-16T05:02:00Z")]
#[case::an_hour_after_opening("2026-01-16T06:00:00Z")]
#[case::just_before_closing("2026-01-16T20:58:00Z")]
#[case::saturday_evening("2026-01-17T19:30:00Z")]
#[case::sunday_between_the_shifts("2026-01-18T13:00:00Z")]
#[case::sunday_in_martinique("2026-01-18T22:00:00Z")]
#[case::monday_early("2026-01-19T04:00:00Z")]
#[case::the_spring_night("2026-03-29T01:30:00Z")]
#[case::the_autumn_night("2026-10-25T01:30:00Z")]
#[tokio::test]
async fn the_demo_has_work(#[case] now: &str) {
    let app = App::new().await;
    let sample = KIOSKS
        .concat()
        .replace("now()", &format!("timestamptz '{now}'"));
    app.execute(&format!(
        "select set_config('demo.scale', '1', false); {sample}"
    ))
    .await;

    let results = app.check(now).await;

    for count in [
        "online",
        "degraded",
        "offline",
        "untouched",
        "status_changed",
        "alerts_opened",
        "alerts_resolved",
        "alerts_escalated",
    ] {
        assert_ne!(results[count], 0, "no {count} at {now}: {results}");
    }
    assert_eq!(results["errors"], serde_json::json!([]));
    let uptime = results["uptime"].as_f64().unwrap();
    assert!((0.5..1.0).contains(&uptime), "{results}");
}
