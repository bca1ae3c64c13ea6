//! The next tick, over the nights on which clocks change.

use chrono::{DateTime, Utc};
use jarvis_cron::qstash::schedules::{Faults, Schedules};

use super::*;

fn schedules(cron: &str, zone: &str) -> Result<Schedules, Faults> {
    let file = json!({
        "base_url": "${PUBLIC_URL}",
        "timezone": zone,
        "defaults": { "retries": 3, "timeout": "60s", "redact_authorization": true },
        "schedules": [{
            "id": "jarvis-a", "job": "a", "cron": cron, "description": "What is done then.",
            "overdue_after": "26h", "body": {},
        }],
    });
    file.to_string().parse()
}

#[rstest]
#[case::within_the_day("0 3 * * *", "2026-06-10T00:30:00Z", "2026-06-10T01:00:00Z")]
#[case::not_the_same_moment("0 3 * * *", "2026-06-10T01:00:00Z", "2026-06-11T01:00:00Z")]
#[case::in_winter("0 3 * * *", "2026-01-10T12:00:00Z", "2026-01-11T02:00:00Z")]
#[case::after_spring_forward("0 3 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z")]
#[case::in_the_hour_that_spring_skips("0 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z")]
#[case::first_of_the_doubled_hour("0 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:00:00Z")]
#[case::sunday("0 3 * * 0", "2026-11-23T12:00:00Z", "2026-11-29T02:00:00Z")]
#[case::monday("0 6,20 * * 1", "2026-11-23T19:00:00Z", "2026-11-30T05:00:00Z")]
#[case::monday_evening("0 6,20 * * 1", "2026-11-30T05:00:00Z", "2026-11-30T19:00:00Z")]
#[case::every_five_minutes("*/5 * * * *", "2026-10-25T00:58:00Z", "2026-10-25T01:00:00Z")]
fn the_next_tick_in_paris(#[case] cron: &str, #[case] after: &str, #[case] expected: &str) {
    let schedules = schedules(cron, "Europe/Paris").unwrap();
    let after: DateTime<Utc> = after.parse().unwrap();
    let next = schedules.next_tick(&schedules.schedules[0], after);
    assert_eq!(next, Some(expected.parse().unwrap()));
}

#[test]
fn a_schedule_that_never_comes_has_no_next_tick() {
    let schedules = schedules("0 0 30 2 *", "Europe/Paris").unwrap();
    let next = schedules.next_tick(&schedules.schedules[0], crate::app::now());
    assert_eq!(next, None);
}

#[rstest]
#[case::too_few_fields("0 3 * *", "Europe/Paris", "0 3 * *")]
#[case::seconds("0 0 3 * * *", "Europe/Paris", "0 0 3 * * *")]
#[case::a_minute_that_is_none("61 3 * * *", "Europe/Paris", "the field for the minute, \"61\"")]
#[case::an_unknown_zone("0 3 * * *", "Europe/Pariss", "Europe/Pariss")]
fn a_schedule_that_cannot_be_meant_is_refused(
    #[case] cron: &str,
    #[case] zone: &str,
    #[case] says: &str,
) {
    let error = schedules(cron, zone).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn every_deployed_schedule_calls_a_job_and_has_a_description() {
    let deployed = Schedules::deployed();
    for schedule in &deployed.schedules {
        assert!(
            jarvis_cron::jobs::ALL.find(&schedule.job).is_some(),
            "{}",
            schedule.job
        );
        assert!(!schedule.description.is_empty());
        assert!(deployed.next_tick(schedule, crate::app::now()).is_some());
    }
}
