//! Which week is the last complete one, on the gym's own clocks.

use chrono::{DateTime, Datelike, Duration, TimeZone, Timelike, Utc, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};
use jarvis_cron::qstash::schedules::Schedules;
use jarvis_cron::reports::week::{IsoWeek, Week};
use proptest::prelude::*;
use rstest::rstest;

use super::{JOB, MONDAY};
use crate::app::App;

#[rstest]
#[case::ordinary("Europe/Paris", "2025-02-03T05:00:00Z", "2025-W05", 168)]
#[case::spring("Europe/Paris", "2025-03-31T04:00:00Z", "2025-W13", 167)]
#[case::autumn("Europe/Paris", "2025-10-27T05:00:00Z", "2025-W43", 169)]
#[case::week_53("Europe/Paris", "2021-01-04T05:00:00Z", "2020-W53", 168)]
#[case::the_year_before("Europe/Paris", "2022-01-03T05:00:00Z", "2021-W52", 168)]
#[case::the_year_after("Europe/Paris", "2025-01-06T05:00:00Z", "2025-W01", 168)]
// Six in Paris is one in the morning in Martinique, and nine in Réunion.
#[case::martinique("America/Martinique", "2025-02-03T05:00:00Z", "2025-W05", 168)]
#[case::martinique_on_sunday("America/Martinique", "2025-02-03T03:59:59Z", "2025-W04", 168)]
#[case::reunion("Indian/Reunion", "2025-02-03T05:00:00Z", "2025-W05", 168)]
#[case::reunion_at_midnight("Indian/Reunion", "2025-02-02T20:00:00Z", "2025-W05", 168)]
#[case::noumea("Pacific/Noumea", "2025-02-03T05:00:00Z", "2025-W05", 168)]
#[case::noumea_on_sunday_in_paris("Pacific/Noumea", "2025-02-02T13:00:00Z", "2025-W05", 168)]
#[tokio::test]
async fn the_last_complete_week_is_reported(
    #[case] zone: &str,
    #[case] moment: &str,
    #[case] week: &str,
    #[case] hours: i64,
) {
    let app = App::new().await;
    let gym = app.gym_called("there", zone).await;
    let member = app.member(gym).await;
    let ends = Week::last_complete(moment.parse().unwrap(), zone.parse().unwrap()).ends;
    // One visit in every hour of the two weeks, and one just after.
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', '{member}', at
           from generate_series(timestamptz '{ends}' - interval '400 hours', '{ends}', '1 hour') at"
    ))
    .await;

    app.operate(JOB, &format!("as_of={moment}")).await;

    let report = app.report(gym).await;
    let (year, number) = (
        report["iso_year"].as_i64().unwrap(),
        report["iso_week"].as_i64().unwrap(),
    );
    assert_eq!(format!("{year}-W{number:02}"), week);
    let metrics = &report["metrics"];
    assert_eq!(metrics["visits"]["value"], hours);
    let by_hour: i64 = metrics["visits_by_hour"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|day| day.as_array().unwrap().iter().map(|n| n.as_i64().unwrap()))
        .sum();
    assert_eq!(by_hour, hours);
    // The night of the change: no two o'clock, or two of them.
    let two = &metrics["visits_by_hour"][6][2];
    assert_eq!(
        *two,
        match hours {
            167 => 0,
            169 => 2,
            _ => 1,
        }
    );
}

/// The ticks of the deployed schedule in this time.
fn ticks(from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let deployed = Schedules::deployed();
    let schedule = deployed.of(JOB).unwrap();
    let next = |after: &DateTime<Utc>| deployed.next_tick(schedule, *after);
    let ticks = std::iter::successors(next(&from), next);
    ticks.take_while(|tick| *tick < until).collect()
}

#[test]
fn wherever_a_gym_is_its_report_is_made_within_a_day_of_the_weeks_end() {
    let moment = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap();
    let ticks = ticks(moment(2026), moment(2029));
    assert!(ticks.len() > 300, "{}", ticks.len());
    let mut longest = Duration::zero();
    // Also where the database's clock is a little behind QStash's.
    for (zone, behind) in TZ_VARIANTS
        .into_iter()
        .flat_map(|zone| [(zone, 0), (zone, 5)])
    {
        let mut weeks = Vec::new();
        for tick in &ticks {
            let now = *tick - Duration::seconds(behind);
            let week = Week::last_complete(now, zone);
            // The first one may have been reported before.
            if weeks.last().is_some_and(|last| *last != week.iso) {
                let late = now - week.ends;
                assert!(late < Duration::hours(24), "{zone}: {late} after {week:?}");
                longest = longest.max(late);
            }
            weeks.push(week.iso);
            weeks.dedup();
        }
        let first = weeks[0].monday();
        for (n, week) in (0..).zip(&weeks) {
            let monday = first + Duration::weeks(n);
            assert_eq!(week.monday(), monday, "{zone} leaves out a week");
        }
    }
    println!(
        "The latest report comes {} h after its week.",
        longest.num_hours()
    );
}

/// Each gym's week is reported once, at the first tick at which it is over.
#[rstest]
#[case::in_winter("2026-01-19T05:00:00Z", "2026-01-19T19:00:00Z", "2026-W03")]
#[case::in_summer("2026-07-20T04:00:00Z", "2026-07-20T18:00:00Z", "2026-W29")]
// The clocks of Europe have changed, those of America not yet, or long ago.
#[case::after_the_change("2026-03-30T04:00:00Z", "2026-03-30T18:00:00Z", "2026-W13")]
#[case::around_new_year("2021-01-04T05:00:00Z", "2021-01-04T19:00:00Z", "2020-W53")]
#[tokio::test]
async fn the_morning_is_for_the_east_and_the_evening_for_the_west(
    #[case] morning: &str,
    #[case] evening: &str,
    #[case] week: &str,
) {
    let moments = [morning, evening].map(|tick| tick.parse().unwrap());
    let monday = ticks(
        moments[0] - Duration::days(3),
        moments[1] + Duration::days(3),
    );
    assert_eq!(monday, moments);
    let app = App::new().await;
    for zone in [
        "Pacific/Kiritimati",
        "Pacific/Auckland",
        "Asia/Kolkata",
        "Europe/Paris",
        "America/Martinique",
    ] {
        app.gym_called(&format!("east of {zone}"), zone).await;
    }
    for zone in [
        "America/Chicago",
        "America/Los_Angeles",
        "Pacific/Tahiti",
        "Pacific/Marquesas",
        "Pacific/Niue",
        "Etc/GMT+12",
    ] {
        app.gym_called(&format!("west of {zone}"), zone).await;
    }
    let sql = "select slug, iso_year || '-W' || lpad(iso_week::text, 2, '0') as week
                 from weekly_reports join gyms on gyms.id = gym_id where slug like";
    let weeks = async |side: &str| {
        let rows = app.rows(&format!("{sql} '{side}%'")).await;
        let rows = rows.as_array().unwrap();
        let weeks = rows
            .iter()
            .map(|row| row["week"].as_str().unwrap().to_owned());
        weeks.filter(|of| of == week).count()
    };

    // A western gym's report of the week before was made a week ago.
    app.operate(JOB, &format!("as_of={morning}")).await;
    assert_eq!((weeks("east").await, weeks("west").await), (5, 0));
    let second = app.operate(JOB, &format!("as_of={evening}")).await;

    assert_eq!(second.results()["generated"], 6, "{second:?}");
    assert_eq!(second.results()["unchanged"], 5);
    assert_eq!((weeks("east").await, weeks("west").await), (5, 6));
}

#[tokio::test]
async fn a_zone_that_postgres_knows_in_small_letters_is_the_same_zone() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "europe/paris").await;

    let reply = app.operate(JOB, MONDAY).await;

    assert_eq!(reply.results()["errors"], 0, "{reply:?}");
    assert_eq!(app.report(gym).await["timezone"], "Europe/Paris");
}

#[test]
fn a_week_is_written_one_way() {
    for week in ["2025-W05", "2020-W53", "2026-W53"] {
        assert_eq!(week.parse::<IsoWeek>().unwrap().to_string(), week);
    }
    for other in [
        "2025-W53",
        "2025-W00",
        "2025-W5",
        "25-W05",
        "2025W05",
        "2025-W+5",
        "2025-W055",
        "",
    ] {
        assert!(other.parse::<IsoWeek>().is_err(), "{other}");
    }
}

proptest! {
    #[test]
    fn a_week_is_complete_the_last_one_and_begins_on_a_monday(
        seconds in 0_i64..4_000_000_000,
        place in 0..TZ_VARIANTS.len(),
    ) {
        let zone: Tz = TZ_VARIANTS[place];
        let now: DateTime<Utc> = Utc.timestamp_opt(seconds, 0).unwrap();
        let week = Week::last_complete(now, zone);
        prop_assert!(week.ends <= now, "{zone} {now} {week:?}");
        // A zone that moves across the date line leaves out a day or repeats one.
        prop_assert!(now < week.ends + Duration::days(8), "{zone} {now} {week:?}");
        let length = week.ends - week.starts;
        prop_assert!((Duration::hours(143)..=Duration::hours(193)).contains(&length), "{zone} {week:?}");
        prop_assert_eq!(week.iso.monday(), week.monday);
        prop_assert_eq!(week.monday.weekday(), Weekday::Mon);
        let begins = week.starts.with_timezone(&zone);
        prop_assert_eq!(begins.date_naive(), week.monday);
        prop_assert!(begins.hour() <= 1, "{zone} {begins}");
    }
}
