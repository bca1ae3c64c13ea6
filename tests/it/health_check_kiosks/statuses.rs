//! Which status a silence deserves, and which kiosks are left as they are.

use rstest::rstest;
use serde_json::json;

use super::seed::{ALWAYS, BY_DAY, NOON};
use crate::app::App;

#[rstest]
#[case::a_moment("0 seconds", "online")]
#[case::five_minutes("5 minutes", "online")]
#[case::a_little_longer("5 minutes 1 second", "degraded")]
#[case::half_an_hour("30 minutes", "degraded")]
#[case::longer("30 minutes 1 second", "offline")]
#[case::a_year("400 days", "offline")]
#[case::never("never", "offline")]
#[tokio::test]
async fn a_silence_of(#[case] silent: &str, #[case] becomes: &str) {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    for status in ["online", "degraded", "offline"] {
        let kiosk = app.kiosk(gym, status, silent).await;

        app.check(NOON).await;

        assert_eq!(app.status(kiosk).await, becomes, "was {status}");
    }
}

/// Five minutes and thirty at least, two beats and four.
#[tokio::test]
async fn a_silence_is_measured_by_the_kiosks_own_interval() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let cases = [
        (30, "5 minutes", "online"),
        (30, "5 minutes 1 second", "degraded"),
        (30, "30 minutes 1 second", "offline"),
        (150, "5 minutes 1 second", "degraded"),
        (151, "5 minutes 1 second", "online"),
        (600, "20 minutes", "online"),
        (600, "20 minutes 1 second", "degraded"),
        (600, "40 minutes", "degraded"),
        (600, "40 minutes 1 second", "offline"),
        (900, "29 minutes", "online"),
        (900, "45 minutes", "degraded"),
        (900, "60 minutes 1 second", "offline"),
        (3600, "120 minutes", "online"),
        (3600, "121 minutes", "degraded"),
        (3600, "241 minutes", "offline"),
        (2_147_483_647, "3 days", "online"),
    ];
    for (interval, silent, _) in cases {
        // None turns for the worse, which would be the fleet's silence.
        let kiosk = app.kiosk(gym, "offline", silent).await;
        let set = format!("heartbeat_interval_seconds = {interval}");
        app.on(kiosk, &set).await;
    }
    let other = app.gym(ALWAYS).await;
    app.kiosk(other, "offline", "6 minutes").await;

    app.check(NOON).await;

    let found = app
        .rows(
            "select k.status, a.kind from kiosks k left join alerts a on a.kiosk_id = k.id
              order by substr(k.slug, 7)::int",
        )
        .await;
    let statuses = cases.map(|(_, _, status)| status);
    let expected = statuses.iter().chain(["degraded"].iter()).map(|status| {
        let kind = (*status != "online").then(|| format!("kiosk_{status}"));
        json!({ "status": status, "kind": kind })
    });
    assert_eq!(found, expected.collect::<serde_json::Value>());
}

#[rstest]
#[case::being_set_up("provisioning", "status_since = status_since")]
#[case::not_approved("pending_approval", "status_since = status_since")]
#[case::retired("retired", "status_since = status_since")]
#[case::maintained_without_end("maintenance", "maintenance_until = null")]
#[case::maintained_until_tomorrow("maintenance", "maintenance_until = '2026-01-16'")]
#[case::maintained_for_ever("maintenance", "maintenance_until = 'infinity'")]
#[case::online_with_a_window("online", "maintenance_until = '2026-01-15T11:00:01Z'")]
#[case::new(
    "online",
    "last_heartbeat_at = null, created_at = '2026-01-14T11:00:01Z'"
)]
#[case::new_and_heard_once_a_week(
    "online",
    "last_heartbeat_at = null, created_at = '2026-01-01', heartbeat_interval_seconds = 604800"
)]
#[tokio::test]
async fn an_untouched_kiosk(#[case] status: &str, #[case] set: &str) {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, status, "3 days").await;
    app.on(kiosk, set).await;
    let before = app.fleet().await;

    let results = app.check(NOON).await;

    assert_eq!(results["untouched"], 1, "{results}");
    assert_eq!(app.fleet().await, before);
}

#[rstest]
#[case::suspended("suspended", "online")]
#[case::cancelled("cancelled", "online")]
#[case::waiting("pending_approval", "offline")]
#[tokio::test]
async fn a_silent_kiosk_of_a_gym_that_is(#[case] status: &str, #[case] becomes: &str) {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "3 days").await;
    app.execute(&format!("update gyms set status = '{status}'"))
        .await;

    app.check(NOON).await;

    assert_eq!(app.status(kiosk).await, becomes);
}

#[rstest]
#[case::and_heard_since("2026-01-15T10:00:00Z", "10 seconds", "online")]
#[case::four_minutes_ago("2026-01-15T10:56:00Z", "3 days", "online")]
#[case::ten_minutes_ago("2026-01-15T10:50:00Z", "3 days", "degraded")]
#[case::an_hour_ago("2026-01-15T10:00:00Z", "3 days", "offline")]
#[case::this_very_moment(NOON, "3 days", "online")]
#[case::never_seen_yet_today("2026-01-15T10:00:00Z", "never", "maintenance")]
#[case::never_seen_for_long("2026-01-13T10:00:00Z", "never", "offline")]
#[tokio::test]
async fn a_maintenance_that_ended(
    #[case] until: &str,
    #[case] silent: &str,
    #[case] becomes: &str,
) {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "maintenance", silent).await;
    app.on(kiosk, &format!("maintenance_until = '{until}'"))
        .await;

    app.check(NOON).await;

    assert_eq!(app.status(kiosk).await, becomes);
}

#[tokio::test]
async fn a_kiosk_that_was_never_seen_is_offline_a_day_after_it_was_made() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "never").await;
    app.on(
        kiosk,
        &format!("created_at = timestamptz '{NOON}' - interval '24 hours'"),
    )
    .await;

    app.check(NOON).await;

    assert_eq!(app.status(kiosk).await, "offline");
    assert_eq!(app.alerts().await, "kiosk_offline kiosk-1 warning open x1");
}

#[rstest]
#[case::before_it_opened("2026-01-15T04:59:00Z", "2026-01-14T20:57:00Z", "online")]
#[case::at_night_when_it_is_switched_off("2026-01-15T02:00:00Z", "2026-01-14T20:59:00Z", "online")]
#[case::a_little_early_last_night("2026-01-15T02:00:00Z", "2026-01-14T20:50:00Z", "degraded")]
#[case::long_before_closing("2026-01-15T02:00:00Z", "2026-01-14T20:29:00Z", "offline")]
#[case::four_minutes_after_opening("2026-01-15T05:04:00Z", "2026-01-14T21:00:00Z", "online")]
#[case::twenty_minutes_after_opening("2026-01-15T05:20:00Z", "2026-01-14T21:00:00Z", "degraded")]
#[case::on_monday_morning("2026-01-19T05:03:00Z", "2026-01-17T20:59:00Z", "online")]
#[tokio::test]
async fn silence_counts_in_opening_hours_only(
    #[case] now: &str,
    #[case] heard: &str,
    #[case] becomes: &str,
) {
    let app = App::new().await;
    let gym = app.gym(BY_DAY).await;
    let kiosk = app.kiosk_at(now, gym, "offline", "0 seconds").await;
    app.heard(kiosk, heard).await;

    app.check(now).await;

    assert_eq!(app.status(kiosk).await, becomes);
}

#[tokio::test]
async fn a_gym_that_never_opens_is_not_judged_and_its_alerts_are_over() {
    let app = App::new().await;
    let gym = app.gym("{}").await;
    let kiosk = app.kiosk(gym, "offline", "3 days").await;
    app.alert_for_all_offline("2 days").await;

    let results = app.check(NOON).await;

    assert_eq!(results["untouched"], 1, "{results}");
    assert_eq!(app.status(kiosk).await, "offline");
    assert_eq!(
        app.alerts().await,
        "kiosk_offline kiosk-1 warning resolved x1"
    );
}

#[rstest]
#[case::its_clock_is_wrong("2026-01-15T10:59:00Z", "2026-01-15T13:00:00Z", "degraded")]
#[case::and_silent_since("2026-01-15T10:00:00Z", "2026-01-15T13:00:00Z", "offline")]
#[case::a_little_ahead("2026-01-15T10:59:00Z", "2026-01-15T11:03:00Z", "online")]
#[case::without_a_clock("2026-01-15T10:59:00Z", "infinity", "degraded")]
#[tokio::test]
async fn of_a_heartbeat_from_the_future_our_own_clock_tells(
    #[case] received: &str,
    #[case] sent: &str,
    #[case] becomes: &str,
) {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "-2 hours").await;
    app.beat(kiosk, "2026-01-14T11:00:00Z", "2026-01-14T13:00:00Z")
        .await;
    app.beat(kiosk, received, sent).await;

    app.check(NOON).await;

    assert_eq!(app.status(kiosk).await, becomes);
    if becomes == "degraded" {
        let ahead = "select count(*) from alerts where (details ->> 'has_wrong_clock')::bool";
        assert_eq!(app.count(ahead).await, 1);
    }
}

#[tokio::test]
async fn a_future_heartbeat_that_never_came_in_is_no_sign() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "-2 hours").await;

    app.check(NOON).await;

    assert_eq!(app.status(kiosk).await, "offline");
}

#[tokio::test]
async fn what_came_later_is_not_seen_when_a_moment_is_replayed() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let back_since = app.kiosk(gym, "offline", "-1 hour").await;
    app.beat(back_since, "2026-01-15T09:00:00Z", "2026-01-15T09:00:00Z")
        .await;
    app.beat(back_since, "2026-01-15T12:00:00Z", "2026-01-15T12:00:00Z")
        .await;
    let made_since = app.kiosk(gym, "online", "never").await;
    app.on(made_since, "created_at = '2026-01-15T11:30:00Z'")
        .await;
    app.alert_for_all_offline("-1 hour").await;

    let results = app.check(NOON).await;

    assert_eq!(
        (&results["total"], &results["offline"]),
        (&1.into(), &1.into())
    );
    // The alert of an hour later is neither repeated nor doubled.
    assert_eq!(app.alerts().await, "kiosk_offline kiosk-1 warning open x1");
}

#[tokio::test]
async fn only_a_change_of_status_is_dated() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let turned = app.kiosk(gym, "online", "2 hours").await;
    app.kiosk(gym, "online", "1 second").await;

    app.check(NOON).await;

    let dated =
        format!("select id from kiosks where status_since = '{NOON}' or updated_at = '{NOON}'");
    let dated = app.rows(&dated).await;
    assert_eq!(dated, serde_json::json!([{ "id": turned }]));
}
