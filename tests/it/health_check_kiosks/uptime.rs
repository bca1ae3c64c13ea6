//! Uptime: heartbeats against slots of opening time.

use serde_json::{Value, json};
use uuid::Uuid;

use super::seed::{ALWAYS, BY_DAY, NOON};
use crate::app::App;

impl App {
    /// Heartbeats at `every` from one moment to before another.
    pub(super) async fn beats(&self, kiosk: Uuid, from: &str, to: &str, every: &str) {
        self.execute(&format!(
            "insert into kiosk_heartbeats (kiosk_id, received_at)
             select '{kiosk}', at
               from generate_series(timestamptz '{from}', timestamptz '{to}', interval '{every}') at
              where at < '{to}'"
        ))
        .await;
    }

    pub(super) async fn uptimes(&self) -> Value {
        let rows = self.rows("select uptime from kiosks order by slug").await;
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["uptime"].clone())
            .collect()
    }
}

#[tokio::test]
async fn uptime_is_the_share_of_slots_with_a_heartbeat() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let always = app.kiosk(gym, "online", "1 second").await;
    let half = app.kiosk(gym, "online", "1 second").await;
    app.kiosk(gym, "online", "1 second").await;
    let every_second_slot = app.kiosk(gym, "online", "1 second").await;
    let often = app.kiosk(gym, "online", "1 second").await;
    app.beats(always, "2026-01-14T11:00:30Z", NOON, "5 minutes")
        .await;
    app.beats(
        half,
        "2026-01-14T11:00:30Z",
        "2026-01-14T23:00:00Z",
        "5 minutes",
    )
    .await;
    app.beats(
        every_second_slot,
        "2026-01-14T11:01:00Z",
        NOON,
        "10 minutes",
    )
    .await;
    // A thousand in one slot are one slot.
    app.beats(
        often,
        "2026-01-15T10:00:00Z",
        "2026-01-15T10:05:00Z",
        "300 ms",
    )
    .await;

    let results = app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([1, 0.5, null, 0.5, 0.0035]));
    assert_eq!(results["uptime"], json!(0.5009));
}

#[tokio::test]
async fn only_opening_hours_count_and_they_end_at_the_full_hour() {
    let app = App::new().await;
    let gym = app.gym(BY_DAY).await;
    let kiosk = app
        .kiosk_at("2026-01-19T05:40:00Z", gym, "online", "1 second")
        .await;
    // Switched off at night and on Sunday; Friday from two in the afternoon until Saturday night is
    // 8 + 16 hours.
    app.beats(
        kiosk,
        "2026-01-16T13:00:00Z",
        "2026-01-16T21:00:00Z",
        "4 minutes",
    )
    .await;
    app.beats(
        kiosk,
        "2026-01-17T05:00:00Z",
        "2026-01-17T17:00:00Z",
        "4 minutes",
    )
    .await;

    app.check("2026-01-19T05:40:00Z").await;
    assert_eq!(app.uptimes().await, json!([0.8333]));

    // An hour later one hour of Monday counts, and one of Friday no more.
    app.check("2026-01-19T06:10:00Z").await;
    assert_eq!(app.uptimes().await, json!([0.7917]));
}

#[tokio::test]
async fn slots_before_a_kiosk_was_made_do_not_count() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "1 second").await;
    app.on(kiosk, "created_at = '2026-01-15T09:58:00Z'").await;
    app.beats(kiosk, "2026-01-15T10:28:00Z", NOON, "1 minute")
        .await;
    let newest = app.kiosk(gym, "online", "1 second").await;
    app.on(newest, "created_at = '2026-01-15T10:58:00Z'").await;

    app.check(NOON).await;

    // Twelve slots of five minutes fit into those 62 minutes, and six of them were silent.
    assert_eq!(app.uptimes().await, json!([0.5, null]));
}

#[tokio::test]
async fn a_kiosk_that_beats_rarely_has_longer_slots() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let rarely = app.kiosk(gym, "online", "1 second").await;
    app.on(rarely, "heartbeat_interval_seconds = 1800").await;
    app.beats(rarely, "2026-01-14T11:10:00Z", NOON, "30 minutes")
        .await;
    let hardly = app.kiosk(gym, "online", "1 second").await;
    app.on(hardly, "heartbeat_interval_seconds = 2147483647")
        .await;

    app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([1, null]));
}

#[tokio::test]
async fn a_kiosk_that_is_not_watched_has_no_uptime() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "1 second").await;
    app.beats(kiosk, "2026-01-14T11:00:00Z", NOON, "5 minutes")
        .await;
    // Heard before the maintenance began, ten days ago.
    app.beats(
        kiosk,
        "2026-01-05T10:00:00Z",
        "2026-01-05T10:30:00Z",
        "5 minutes",
    )
    .await;
    app.check(NOON).await;
    assert_eq!(app.uptimes().await, json!([1]));

    app.on(kiosk, "status = 'maintenance'").await;
    let results = app.check(NOON).await;

    assert_eq!(
        (app.uptimes().await, &results["uptime"]),
        (json!([null]), &Value::Null)
    );
}

#[tokio::test]
async fn measuring_dates_nothing() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "1 second").await;
    let dates = "select status_since, updated_at from kiosks";
    let before = app.rows(dates).await;
    app.beats(kiosk, "2026-01-14T11:00:00Z", NOON, "5 minutes")
        .await;

    app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([1]));
    assert_eq!(app.rows(dates).await, before);
}

#[tokio::test]
async fn a_kiosk_without_history_has_no_uptime_and_one_that_fell_silent_before_it_has_none_of_it() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    app.kiosk(gym, "online", "never").await;
    app.kiosk(gym, "online", "30 days").await;

    app.check(NOON).await;
    assert_eq!(app.uptimes().await, json!([null, null]));
    let heard = app.kiosk(gym, "online", "1 second").await;
    app.beats(heard, "2026-01-14T10:00:00Z", NOON, "5 minutes")
        .await;
    let results = app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([null, 0, 1]));
    assert_eq!(results["uptime"], json!(0.5));
}

/// Ten hours on Thursday and two on Wednesday are kept; more than a day ago, only
/// what is kept counts.
#[tokio::test]
async fn time_before_the_oldest_heartbeat_does_not_count_unless_it_is_of_the_last_day() {
    let app = App::new().await;
    let gym = app.gym(BY_DAY).await;
    let kiosk = app.kiosk(gym, "online", "1 second").await;
    app.beats(kiosk, "2026-01-14T07:00:00Z", NOON, "5 minutes")
        .await;
    app.check(NOON).await;
    assert_eq!(app.uptimes().await, json!([1]));

    app.execute("delete from kiosk_heartbeats where received_at < '2026-01-15T08:00:00Z'")
        .await;
    app.check(NOON).await;

    // Three of sixteen hours.
    assert_eq!(app.uptimes().await, json!([0.1875]));
}

/// Of six hours a day, heard in three, for four days.
#[tokio::test]
async fn an_hour_that_is_in_two_spans_is_one_hour() {
    let app = App::new().await;
    let day = r#"[["06:00", "10:00"], ["08:00", "11:00"], ["07:00", "09:00"], ["11:00", "12:00"]]"#;
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let days = days.map(|name| format!("\"{name}\": {day}"));
    let gym = app.gym(&format!("{{{}}}", days.join(", "))).await;
    let kiosk = app.kiosk(gym, "online", "1 second").await;
    for day in 10..16 {
        let (from, to) = (
            format!("2026-01-{day}T05:00Z"),
            format!("2026-01-{day}T08:00Z"),
        );
        app.beats(kiosk, &from, &to, "1 minute").await;
    }

    app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([0.5]));
}

#[rstest::rstest]
#[case::five_minutes(300)]
#[case::ten_minutes(600)]
#[case::a_quarter_of_an_hour(900)]
#[tokio::test]
async fn a_kiosk_that_misses_no_beat_of_its_own_interval_was_always_up(#[case] interval: i32) {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "1 second").await;
    app.on(kiosk, &format!("heartbeat_interval_seconds = {interval}"))
        .await;
    // A little late, by as much as changes from beat to beat.
    app.execute(&format!(
        "insert into kiosk_heartbeats (kiosk_id, received_at)
         select '{kiosk}', timestamptz '2026-01-13' + n * interval '{interval} s' + n * 7 % 31 * interval '1 s'
           from generate_series(0, 216000 / {interval}) n"
    ))
    .await;

    app.check(NOON).await;

    assert_eq!(app.uptimes().await, json!([1]));
}
