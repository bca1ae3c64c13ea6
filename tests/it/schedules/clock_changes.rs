//! The nights on which clocks change, and what a plan says about them.

use jarvis_cron::qstash::schedules::clock_changes::Kind;

use super::*;

/// The deployed schedules in another zone, the first one at other times.
fn schedules(zone: &str, cron: &str) -> Schedules {
    let text = file(|file| {
        file["timezone"] = json!(zone);
        file["schedules"][0]["cron"] = json!(cron);
    });
    text.parse().unwrap()
}

#[rstest]
#[case::the_missing_hour("Europe/Paris", "0 2 * * *", &["2027-03-28 02:00:00 Missing", "2027-10-31 02:00:00 Doubled"])]
#[case::its_last_minute("Europe/Paris", "59 2 * * *", &["2027-03-28 02:59:00 Missing", "2027-10-31 02:59:00 Doubled"])]
#[case::the_hour_after("Europe/Paris", "0 3 * * *", &[])]
#[case::the_hour_before("Europe/Paris", "59 1 * * *", &[])]
#[case::sundays("Europe/Paris", "30 2 * * 0", &["2027-03-28 02:30:00 Missing", "2027-10-31 02:30:00 Doubled"])]
#[case::mondays("Europe/Paris", "30 2 * * 1", &[])]
#[case::every_hour("Europe/Paris", "0 * * * *", &[])]
#[case::every_five_minutes("Europe/Paris", "*/5 * * * *", &[])]
#[case::several_times_a_night("Europe/Paris", "0 0-6 * * *", &["2027-03-28 02:00:00 Missing", "2027-10-31 02:00:00 Doubled"])]
#[case::in_years("Europe/Paris", "30 2 28 3 *", &["2027-03-28 02:30:00 Missing"])]
#[case::no_changes("Africa/Tunis", "0 2 * * *", &[])]
#[case::utc("UTC", "0 2 * * *", &[])]
#[case::new_york("America/New_York", "30 1 * * *", &["2027-11-07 01:30:00 Doubled"])]
#[case::half_an_hour("Australia/Lord_Howe", "15 2 * * *", &["2027-10-03 02:15:00 Missing"])]
#[case::midnight("Africa/Cairo", "30 0 * * *", &["2027-04-30 00:30:00 Missing"])]
fn a_schedule_in_a_changed_hour_is_found(
    #[case] zone: &str,
    #[case] cron: &str,
    #[case] expected: &[&str],
) {
    let schedules = schedules(zone, cron);
    let nights = schedules.affected_ticks(&schedules.schedules[0], moment("2026-11-23T12:00:00Z"));
    let found: Vec<String> = nights
        .iter()
        .map(|night| format!("{} {:?}", night.local, night.change.kind))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn of_the_six_only_churn_is_affected_and_no_skipped_night_is_overdue() {
    let deployed = Schedules::deployed();
    let now = moment("2026-11-23T12:00:00Z");
    let mut affected = Vec::new();
    for schedule in &deployed.schedules {
        for night in deployed.affected_ticks(schedule, now) {
            let is_reported = night.change.kind == Kind::Missing && night.is_overdue_when_skipped;
            assert!(!is_reported, "{}", schedule.id);
            affected.push(schedule.id.as_str());
        }
    }
    assert_eq!(affected, [CHURN, CHURN]);
}

#[test]
fn a_skipped_week_would_be_overdue_when_less_than_a_week_is_allowed() {
    let mut schedules = schedules("Europe/Paris", "0 2 * * 0");
    schedules.schedules[0].overdue_after = chrono::TimeDelta::days(6);
    let nights = schedules.affected_ticks(&schedules.schedules[0], moment("2026-11-23T12:00:00Z"));
    assert!(nights[0].is_overdue_when_skipped);
    schedules.schedules[0].overdue_after = chrono::TimeDelta::days(7);
    let nights = schedules.affected_ticks(&schedules.schedules[0], moment("2026-11-23T12:00:00Z"));
    assert!(!nights[0].is_overdue_when_skipped);
}

#[rstest]
#[case::an_ordinary_year("2026-11-23T12:00:00Z", "2027-10-31", 305, 2440, 279)]
fn the_deliveries_of_the_six(
    #[case] now: &str,
    #[case] busiest: &str,
    #[case] most: u32,
    #[case] failing: u32,
    #[case] least: u32,
) {
    // 288 every five minutes, three each night, one on Sundays, one on Mondays;
    // the night in autumn has twelve and a churn more, that in spring fewer.
    let deliveries = Schedules::deployed().deliveries(moment(now));
    assert_eq!(deliveries.busiest_day.to_string(), busiest);
    assert_eq!(
        (
            deliveries.on_busiest_day,
            deliveries.when_all_fail,
            deliveries.on_quietest_day
        ),
        (most, failing, least)
    );
}

#[tokio::test]
async fn a_plan_says_what_such_a_night_may_mean() {
    let qstash = Qstash::new().await;
    let text = qstash.run(&["plan"]).await.out;
    let json = qstash.run(&["plan", "--json"]).await.json();
    for part in [
        "documented nowhere",
        "has no 02:00. Skipped, the next tick does the work, and it does not count as overdue; called at 03:00, nothing differs.",
        "has 02:00 twice. Called once, at either, nothing differs; called twice, the second run finds the work done.",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let nights = json["nights"].as_array().unwrap();
    assert_eq!(nights.len(), 2, "{json}");
    assert!(nights.iter().all(|night| night["id"] == CHURN), "{json}");
}
