//! What holds for every expression, zone, moment and file.

use chrono::{Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use jarvis_cron::qstash::schedules::clock_changes::{Kind, changes};
use proptest::prelude::*;

use super::*;

const ZONES: [Tz; 7] = [
    Tz::UTC,
    Tz::Europe__Paris,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::America__Martinique,
    Tz::Asia__Kolkata,
    Tz::Africa__Casablanca,
];

fn zones() -> impl Strategy<Value = Tz> {
    prop::sample::select(&ZONES[..])
}

/// A moment in the years after 2026.
fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    (0..4 * 366 * 24 * 60_i64)
        .prop_map(|minutes| moment("2026-01-01T00:00:00Z") + TimeDelta::minutes(minutes))
}

/// A field as the file may write it.
fn fields(low: u32, high: u32) -> impl Strategy<Value = String> {
    let number = low..=high;
    prop_oneof![
        Just("*".to_owned()),
        (1..=high).prop_map(|step| format!("*/{step}")),
        number.clone().prop_map(|number| number.to_string()),
        (number.clone(), number.clone(), 1..=high).prop_map(|(one, other, step)| format!(
            "{}-{}/{step}",
            one.min(other),
            one.max(other)
        )),
        (number.clone(), number).prop_map(|(one, other)| format!("{one},{other}")),
    ]
}

/// An expression that comes at least once a week.
fn crons() -> impl Strategy<Value = String> {
    (fields(0, 59), fields(0, 23), fields(0, 6))
        .prop_map(|(minute, hour, day)| format!("{minute} {hour} * * {day}"))
}

fn scheduled(zone: Tz, cron: &str) -> Schedules {
    let text = file(|file| {
        file["timezone"] = json!(zone.name());
        file["schedules"] = json!([file["schedules"][0]]);
        file["schedules"][0]["cron"] = json!(cron);
    });
    text.parse().unwrap()
}

/// Another reader of the same grammar, for wall-clock times.
fn names(cron: &str, local: NaiveDateTime) -> bool {
    let numbers = [
        (local.minute(), 0),
        (local.hour(), 0),
        (local.day(), 1),
        (local.month(), 1),
        (local.weekday().num_days_from_sunday(), 0),
    ];
    cron.split(' ').zip(numbers).all(|(field, (number, low))| {
        field.split(',').any(|item| {
            let (range, step) = item.split_once('/').unwrap_or((item, "1"));
            let (first, last) = match range {
                "*" => (low, 99),
                range => {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    (first.parse().unwrap(), last.parse().unwrap())
                }
            };
            let step: u32 = step.parse().unwrap();
            (first..=last).contains(&number) && (number - first) % step == 0
        })
    })
}

fn local(zone: Tz, moment: DateTime<Utc>) -> NaiveDateTime {
    moment.with_timezone(&zone).naive_local()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_next_tick_is_the_first_minute_that_the_expression_names(
        zone in zones(), cron in crons(), after in moments(),
    ) {
        let schedules = scheduled(zone, &cron);
        let next = schedules.next_tick(&schedules.schedules[0], after).unwrap();
        let minutes = (1..9 * 24 * 60).map(|minute| after + TimeDelta::minutes(minute));
        let first = minutes.into_iter().find(|minute| names(&cron, local(zone, *minute))).unwrap();
        prop_assert!(next > after);
        let until = next.max(first) + TimeDelta::hours(3);
        let change = changes(zone, after - TimeDelta::days(1)).find(|change| change.at < until);
        match change {
            None => prop_assert_eq!(next, first),
            // A tick of a skipped hour comes as the clock goes on.
            Some(change) => prop_assert!(names(&cron, local(zone, next)) || next == change.at),
        }
    }

    #[test]
    fn a_changed_hour_is_what_the_zone_says(zone in zones(), after in moments()) {
        let mut before = after;
        for change in changes(zone, after).take(4) {
            prop_assert!(change.at > before);
            before = change.at;
            for minute in change.minutes() {
                match (change.kind, zone.from_local_datetime(&minute)) {
                    (Kind::Missing, chrono::LocalResult::None)
                    | (Kind::Doubled, chrono::LocalResult::Ambiguous(..)) => {}
                    (kind, found) => prop_assert!(false, "{kind:?} {minute} {found:?}"),
                }
            }
            let end = zone.from_local_datetime(&change.until);
            prop_assert!(matches!(end, chrono::LocalResult::Single(_)), "{end:?}");
        }
    }

    #[test]
    fn no_changed_hour_is_overlooked(zone in zones(), at in moments()) {
        let minute = local(zone, at);
        // Local times that an hour in spring skips are reached from both sides.
        for minute in [minute, minute + TimeDelta::hours(1), minute - TimeDelta::hours(1)] {
            let is_changed = zone.from_local_datetime(&minute).single().is_none();
            let is_found = changes(zone, at - TimeDelta::days(2))
                .take_while(|change| change.at < at + TimeDelta::days(2))
                .any(|change| (change.from..change.until).contains(&minute));
            prop_assert_eq!(is_changed, is_found, "{}", minute);
        }
    }

    #[test]
    fn the_deliveries_of_the_busiest_day_are_its_minutes(
        zone in zones(), cron in crons(), now in moments(),
    ) {
        let schedules = scheduled(zone, &cron);
        let deliveries = schedules.deliveries(now);
        let day = deliveries.busiest_day;
        let noon = day.and_hms_opt(12, 0, 0).unwrap().and_utc();
        let minutes = (-36 * 60..36 * 60).map(|minute| noon + TimeDelta::minutes(minute));
        let on_it = minutes
            .map(|minute| local(zone, minute))
            .filter(|local| local.date() == day && names(&cron, *local))
            .count();
        prop_assert_eq!(deliveries.on_busiest_day as usize, on_it);
        prop_assert!(deliveries.on_quietest_day <= deliveries.on_busiest_day);
    }

    #[test]
    fn what_the_file_refuses_and_reads_is_the_grammar(cron in "[0-9*,/ -]{1,14}") {
        let text = file(|file| file["schedules"][0]["cron"] = json!(cron));
        if let Ok(schedules) = text.parse::<Schedules>() {
            prop_assert_eq!(cron.split(' ').count(), 5);
            // What is read can be asked, for ever if it never comes.
            let now = moment("2026-11-23T12:00:00Z");
            let next = schedules.next_tick(&schedules.schedules[0], now);
            prop_assert!(next.is_none_or(|next| next > now));
        }
    }
}
