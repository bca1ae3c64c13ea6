//! The week's uptime of kiosks: the same definition as the night's.

use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{JOB, MONDAY};
use crate::app::App;

const HOURS_OF_DAY: &str = r#"["08:00", "12:00"]"#;

impl App {
    /// A gym in Paris with these hours, and a kiosk in it.
    async fn gym_with_kiosk(&self, hours: &str) -> Uuid {
        let slug = format!("gym-{}", self.count("select count(*) from gyms").await);
        let gym = self.gym_called(&slug, "Europe/Paris").await;
        self.execute(&format!(
            "update gyms set opening_hours = nullif('{hours}'::jsonb, 'null') where id = '{gym}';
             insert into kiosks (id, gym_id, slug, name, status, status_since, created_at)
             values ('{gym}', '{gym}', '{slug}', 'Desk', 'online', '2024-01-01', '2024-01-01')"
        ))
        .await;
        gym
    }

    /// Heartbeats of the gym's kiosk: so many seconds apart, each up to half a
    /// minute late, where the condition on `beat` is met.
    async fn beats_every(&self, gym: Uuid, days: (&str, &str), every: i32, when: &str) {
        self.execute(&format!(
            "insert into kiosk_heartbeats (kiosk_id, received_at)
             select '{gym}', beat
               from generate_series(0, extract(epoch from timestamptz '{1}' - '{0}')::int / {every}) n,
                    lateral (select timestamptz '{0}' + (n * {every} + n * 7 % 31) * interval '1 s' as beat) at
              where {when}",
            days.0, days.1
        ))
        .await;
    }

    async fn week_of_kiosks(&self, gym: Uuid, monday: &str) -> Value {
        let reply = self.operate(JOB, monday).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        self.report(gym).await["metrics"]["kiosk_uptime"].clone()
    }
}

const BOTH: (&str, &str) = ("2025-01-18T00:00Z", "2025-02-03T00:00Z");

#[rstest]
#[tokio::test]
async fn a_kiosk_that_misses_no_beat_of_its_own_interval_was_always_up(
    #[values(30, 300, 600, 900)] interval: i32,
    #[values(
        "null",
        r#"{"tue": [["09:00", "12:00"]], "fri": [["22:00", "02:00"]]}"#
    )]
    hours: &str,
) {
    let app = App::new().await;
    let gym = app.gym_with_kiosk(hours).await;
    app.execute(&format!(
        "update kiosks set heartbeat_interval_seconds = {interval}"
    ))
    .await;
    app.beats_every(gym, BOTH, interval, "true").await;

    let uptime = app.week_of_kiosks(gym, MONDAY).await;

    assert_eq!(
        uptime,
        json!({ "value": 1.0, "previous": 1.0, "change": 0.0 })
    );
}

#[tokio::test]
async fn one_missed_slot_of_a_rare_beat_is_a_slot_of_its_length() {
    let app = App::new().await;
    let gym = app.gym_with_kiosk(r#"{"mon": [["08:00", "18:00"]]}"#).await;
    app.execute("update kiosks set heartbeat_interval_seconds = 900")
        .await;
    let heard = "beat not between '2025-01-27T08:00Z' and '2025-01-27T10:00Z'";
    app.beats_every(gym, BOTH, 900, heard).await;

    let uptime = app.week_of_kiosks(gym, MONDAY).await;

    assert_eq!(uptime["value"], 0.8);
}

/// Eight hours on Monday and four at its edge, heard from eight to twelve.
#[tokio::test]
async fn an_hour_that_is_in_two_spans_is_one_hour() {
    let app = App::new().await;
    let hours = r#"{"mon": [["08:00", "12:00"], ["10:00", "14:00"], ["14:00", "16:00"], ["09:00", "11:00"]],
                    "sat": [["22:00", "03:00"]], "sun": [["00:00", "02:00"], ["01:00", "02:00"]]}"#;
    let gym = app.gym_with_kiosk(hours).await;
    app.beats_every(gym, ("2025-01-01T00:00Z", "2025-01-02T00:00Z"), 300, "true")
        .await;
    let morning = ("2025-01-27T07:00Z", "2025-01-27T11:00Z");
    app.beats_every(gym, morning, 30, "beat < '2025-01-27T11:00Z'")
        .await;

    let uptime = app.week_of_kiosks(gym, MONDAY).await;

    // Four of eight and five.
    assert_eq!(uptime["value"], 0.3077);
}

const AWAY: &str = "beat not between '2025-01-28T21:30Z' and '2025-01-30T02:30Z'";

#[rstest]
#[case::unplanned("status = 'online'", json!(0.8274))]
#[case::its_end_is_past(
    "status = 'maintenance', status_since = '2025-01-28T21:30Z', maintenance_until = '2025-01-30T02:30Z'",
    json!(1.0)
)]
#[case::it_was_never_seen("status = 'online', maintenance_until = '2025-01-30T02:30Z'", json!(1.0))]
#[case::it_is_still_on("status = 'maintenance', status_since = '2025-01-28T21:30Z'", json!(1.0))]
#[case::it_was_set_without_its_begin("status = 'maintenance', status_since = '2025-01-20'", json!(0.8274))]
#[case::it_begins_later(
    "status = 'maintenance', status_since = '2025-02-03T04:00Z', maintenance_until = '2025-02-05'",
    json!(0.8274)
)]
#[tokio::test]
async fn planned_maintenance_is_left_out_of_the_week(#[case] set: &str, #[case] expected: Value) {
    let app = App::new().await;
    let gym = app.gym_with_kiosk("null").await;
    app.beats_every(gym, BOTH, 30, AWAY).await;
    app.execute(&format!("update kiosks set {set}")).await;

    let uptime = app.week_of_kiosks(gym, MONDAY).await;

    assert_eq!(uptime["value"], expected);
}

#[tokio::test]
async fn a_maintenance_that_nights_have_seen_is_left_out_when_the_row_tells_of_it_no_more() {
    let app = App::new().await;
    let gym = app.gym_with_kiosk("null").await;
    app.beats_every(gym, BOTH, 30, AWAY).await;
    app.execute(
        "update kiosks set status = 'maintenance', status_since = '2025-01-28T21:30Z',
                           maintenance_until = '2025-01-30T02:30Z'",
    )
    .await;
    for night in 28..31 {
        app.operate(
            "health-check-kiosks",
            &format!("as_of=2025-01-{night}T23:00:00Z"),
        )
        .await;
    }
    app.execute("update kiosks set maintenance_until = null")
        .await;

    let uptime = app.week_of_kiosks(gym, MONDAY).await;

    assert_eq!(uptime["value"], 1.0);
}

/// On the nights when clocks change, and in spans over midnight.
#[rstest]
#[case::forward("null", "2025-03-31")]
#[case::back("null", "2025-10-27")]
#[case::forward_while_open(
    r#"{"sat": [["22:00", "03:00"]], "sun": [["02:30", "05:00"]]}"#,
    "2025-03-31"
)]
#[case::back_while_open(
    r#"{"sat": [["22:00", "03:00"]], "sun": [["02:30", "05:00"]]}"#,
    "2025-10-27"
)]
#[case::into_the_next_week(r#"{"sun": [["20:00", "04:00"]]}"#, "2025-02-03")]
#[tokio::test]
async fn a_kiosk_that_is_always_heard_was_up_in_every_week(
    #[case] hours: &str,
    #[case] monday: &str,
) {
    let app = App::new().await;
    let gym = app.gym_with_kiosk(hours).await;
    app.beats_every(gym, ("2025-01-01T00:00Z", "2025-11-01T00:00Z"), 270, "true")
        .await;

    let uptime = app
        .week_of_kiosks(gym, &format!("as_of={monday}T05:00:00Z"))
        .await;

    assert_eq!(uptime["value"], 1.0);
    assert_eq!(uptime["previous"], 1.0);
}

#[tokio::test]
async fn a_kiosk_counts_from_when_it_was_made_and_only_when_it_was_ever_heard() {
    let app = App::new().await;
    let gym = app.gym_with_kiosk("null").await;
    app.execute(&format!(
        "update kiosks set created_at = '2025-01-30T10:00Z';
         insert into kiosks (gym_id, slug, name, status, created_at)
         values ('{gym}', 'never', 'Never', 'offline', '2024-01-01')"
    ))
    .await;
    app.beats_every(gym, BOTH, 30, "beat > '2025-01-30T10:00Z'")
        .await;

    let uptime = app.week_of_kiosks(gym, MONDAY).await;

    assert_eq!(
        uptime,
        json!({ "value": 1.0, "previous": null, "change": null })
    );
}

#[tokio::test]
async fn unreadable_hours_are_their_own_gyms_trouble() {
    let app = App::new().await;
    let odd = app.gym_with_kiosk("null").await;
    let good = app.gym_with_kiosk("null").await;
    app.beats_every(odd, BOTH, 30, "true").await;
    app.beats_every(good, BOTH, 30, "true").await;
    for hours in [
        "[]".to_owned(),
        r#"{"mon": "always"}"#.to_owned(),
        r#"{"mon": [["08:00"]]}"#.to_owned(),
        r#"{"mon": [["25:00", "26:00"]]}"#.to_owned(),
        format!(r#"{{"Mon": [{HOURS_OF_DAY}]}}"#),
    ] {
        app.execute(&format!(
            "alter table gyms drop constraint if exists gyms_opening_hours_well_formed;
             update gyms set opening_hours = '{hours}' where id = '{odd}';
             delete from weekly_reports"
        ))
        .await;

        let uptime = app.week_of_kiosks(good, MONDAY).await;

        assert_eq!(uptime["value"], 1.0, "{hours}");
        let uptime = &app.report(odd).await["metrics"]["kiosk_uptime"];
        assert_eq!(uptime["value"], Value::Null, "{hours}");
    }
}

/// The night and the week say the same of the same day.
#[tokio::test]
async fn the_night_and_the_week_agree() {
    let app = App::new().await;
    let gym = app.gym_with_kiosk(r#"{"sun": [["00:00", "00:00"]]}"#).await;
    app.execute("update kiosks set heartbeat_interval_seconds = 400, last_heartbeat_at = '2025-02-02T22:00Z', maintenance_until = '2025-02-02T10:00Z'")
        .await;
    let heard = "beat not between '2025-02-02T08:10Z' and '2025-02-02T10:00Z'
                 and beat not between '2025-02-02T15:03Z' and '2025-02-02T17:41Z'";
    app.beats_every(gym, BOTH, 400, heard).await;

    let week = app.week_of_kiosks(gym, MONDAY).await;
    app.operate("health-check-kiosks", "as_of=2025-02-02T23:00:00Z")
        .await;

    let night = app.rows("select uptime from kiosks").await;
    assert_eq!(week["value"], night[0]["uptime"]);
    assert!(
        week["value"].as_f64().is_some_and(|value| value < 0.95),
        "{week}"
    );
}
