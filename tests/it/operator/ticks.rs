//! Ticks and which of them are overdue, over the nights on which clocks change.

use chrono::{DateTime, TimeDelta, Utc};
use jarvis_cron::qstash::schedules::{Schedule, Schedules};
use proptest::prelude::*;

use super::*;

const CRONS: [&str; 8] = [
    "*/5 * * * *",
    "0 2 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "0 3 * * 0",
    "0 6,20 * * 1",
    "15,45 1-3 * * *",
    "0 0 1 * *",
];

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The deployed schedules' zone with one schedule in it.
fn schedules(cron: &str, overdue_after: TimeDelta) -> Schedules {
    let mut schedules = Schedules::deployed().clone();
    schedules.schedules.truncate(1);
    schedules.schedules[0].cron = cron.parse().unwrap();
    schedules.schedules[0].overdue_after = overdue_after;
    schedules
}

/// Seconds of two years, most of them near a night on which clocks change.
fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    let nights = [
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2027-03-28T01:00:00Z",
    ];
    let near = (0..nights.len(), -200_000_i64..200_000)
        .prop_map(move |(night, seconds)| moment(nights[night]) + TimeDelta::seconds(seconds));
    let any = (0..63_000_000_i64)
        .prop_map(|seconds| moment("2026-01-01T00:00:00Z") + TimeDelta::seconds(seconds));
    prop_oneof![3 => near, 1 => any]
}

/// Every tick from `since` to `until`, one after the other.
fn ticks(
    schedules: &Schedules,
    schedule: &Schedule,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let first = schedules.next_tick(schedule, since - TimeDelta::seconds(1));
    std::iter::successors(first, |tick| schedules.next_tick(schedule, *tick))
        .take_while(|tick| *tick <= until)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_last_tick_and_the_next_are_neighbours(cron in 0..CRONS.len(), at in moments(), ms in 0..1_000_i64) {
        let schedules = schedules(CRONS[cron], TimeDelta::zero());
        let schedule = &schedules.schedules[0];
        let at = at + TimeDelta::milliseconds(ms);
        let last = schedules.last_tick(schedule, at).unwrap();
        let next = schedules.next_tick(schedule, at).unwrap();
        prop_assert!(last <= at && at < next, "{last} {at} {next}");
        prop_assert_eq!(schedules.next_tick(schedule, last), Some(next));
        prop_assert_eq!(schedules.last_tick(schedule, next - TimeDelta::seconds(1)), Some(last));
    }

    #[test]
    fn overdue_is_what_a_walk_over_all_ticks_finds(
        cron in 0..CRONS.len(),
        now in moments(),
        patience in 0..100_000_i64,
        known in 0..400_000_i64,
        delivered in proptest::option::of(0..400_000_i64),
    ) {
        let patience = TimeDelta::seconds(patience);
        let schedules = schedules(CRONS[cron], patience);
        let schedule = &schedules.schedules[0];
        let since = now - TimeDelta::seconds(known);
        let delivered = delivered.map(|ago| now - TimeDelta::seconds(ago));
        let is_missed = |tick: &DateTime<Utc>| {
            delivered.is_none_or(|at| at + TimeDelta::seconds(30) < *tick)
        };
        let missed = ticks(&schedules, schedule, since, now).into_iter().find(is_missed);
        let expected = missed.map_or(TimeDelta::zero(), |tick| now - tick - patience);
        let expected = expected.max(TimeDelta::zero());
        prop_assert_eq!(schedules.overdue(schedule, since, delivered, now), expected);
    }
}

#[rstest]
#[case::just_now("0 3 * * *", "2026-06-10T01:00:00Z", "2026-06-10T01:00:00Z")]
#[case::a_second_before("0 3 * * *", "2026-06-10T00:59:59Z", "2026-06-09T01:00:00Z")]
#[case::in_the_hour_that_spring_skips("30 2 * * *", "2026-03-29T12:00:00Z", "2026-03-29T01:00:00Z")]
#[case::first_of_the_doubled_hour("30 2 * * *", "2026-10-25T12:00:00Z", "2026-10-25T00:30:00Z")]
fn the_last_tick_in_paris(#[case] cron: &str, #[case] at: &str, #[case] expected: &str) {
    let schedules = schedules(cron, TimeDelta::zero());
    let last = schedules.last_tick(&schedules.schedules[0], moment(at));
    assert_eq!(last, Some(moment(expected)));
}

#[test]
fn a_schedule_that_never_comes_owes_nothing() {
    let schedules = schedules("0 0 30 2 *", TimeDelta::zero());
    let (schedule, now) = (&schedules.schedules[0], crate::app::now());
    assert_eq!(schedules.last_tick(schedule, now), None);
    let overdue = schedules.overdue(schedule, DateTime::UNIX_EPOCH, None, now);
    assert_eq!(overdue, TimeDelta::zero());
}

/// It is not documented whether QStash calls in an hour that a night skips, or twice
/// in one that it repeats: neither may raise an alarm, nor hide one.
#[rstest]
#[case::spring_skipped("2026-03-28T01:00:00Z", "2026-03-30T00:00:00Z")]
#[case::autumn_the_second_hour("2026-10-24T00:00:00Z", "2026-10-25T01:00:00Z")]
fn a_night_on_which_clocks_change_is_no_silence(#[case] before: &str, #[case] after: &str) {
    let deployed = Schedules::deployed();
    let nightly = deployed.of("daily-churn-analysis").unwrap();
    let (before, after) = (moment(before), moment(after));
    let overdue = deployed.overdue(nightly, DateTime::UNIX_EPOCH, Some(before), after);
    assert_eq!(overdue, TimeDelta::zero());
    let days_later = after + TimeDelta::days(2);
    let overdue = deployed.overdue(nightly, DateTime::UNIX_EPOCH, Some(before), days_later);
    assert!(overdue > TimeDelta::zero());
}
