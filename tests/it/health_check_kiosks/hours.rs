//! Opening hours: local clocks, nights, and the two nights a year on which
//! they change.

use chrono::{DateTime, TimeDelta, Utc};
use jarvis_cron::gyms::opening_hours::{Hours, LOOK_BACK, Span};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The spans from one moment to another, as text.
fn spans(hours: &Value, zone: &str, from: &str, to: &str) -> Vec<String> {
    let text = |instant: DateTime<Utc>| instant.format("%dT%H:%M").to_string();
    Hours::read(Some(hours), zone)
        .unwrap()
        .spans(time(from), time(to))
        .iter()
        .map(|span| format!("{}-{}", text(span.from), text(span.to)))
        .collect()
}

/// 2026-01-15 is a Thursday; the clocks in Paris change on Sunday 29 March
/// and on Sunday 25 October.
#[rstest]
#[case::a_day("Europe/Paris", json!({"thu": [["06:00", "22:00"]]}), "01-15", &["15T05:00-15T21:00"])]
#[case::a_zone_spelt_as_postgres_takes_it("europe/PARIS", json!({"thu": [["06:00", "22:00"]]}), "01-15", &["15T05:00-15T21:00"])]
#[case::a_closed_day("Europe/Paris", json!({"fri": [["06:00", "22:00"]]}), "01-15", &[])]
#[case::no_day_at_all("Europe/Paris", json!({}), "01-15", &[])]
#[case::an_empty_day("Europe/Paris", json!({"thu": []}), "01-15", &[])]
#[case::twice_a_day("Europe/Paris", json!({"thu": [["15:00", "19:00"], ["09:00", "13:00"]]}), "01-15", &["15T08:00-15T12:00", "15T14:00-15T18:00"])]
#[case::until_midnight("Europe/Paris", json!({"thu": [["20:00", "00:00"]]}), "01-15", &["15T19:00-15T23:00"])]
#[case::past_midnight("Europe/Paris", json!({"wed": [["20:00", "02:00"]], "thu": [["20:00", "02:00"]]}), "01-15", &["15T00:00-15T01:00", "15T19:00-16T00:00"])]
#[case::around_the_clock("Europe/Paris", json!({"wed": [["00:00", "00:00"]], "thu": [["00:00", "00:00"]], "fri": [["00:00", "00:00"]]}), "01-15", &["15T00:00-16T00:00"])]
#[case::a_day_and_no_more("Europe/Paris", json!({"thu": [["00:00", "00:00"]]}), "01-15", &["15T00:00-15T23:00"])]
#[case::over_each_other("Europe/Paris", json!({"thu": [["08:00", "12:00"], ["11:00", "13:00"], ["13:00", "14:00"]]}), "01-15", &["15T07:00-15T13:00"])]
#[case::the_spring_night("Europe/Paris", json!({"sat": [["22:00", "04:00"]]}), "03-29", &["29T00:00-29T02:00"])]
#[case::opening_in_the_gap("Europe/Paris", json!({"sun": [["02:30", "05:00"]]}), "03-29", &["29T01:30-29T03:00"])]
#[case::closing_in_the_gap("Europe/Paris", json!({"sun": [["01:00", "02:30"]]}), "03-29", &["29T00:00-29T01:30"])]
#[case::within_the_gap("Europe/Paris", json!({"sun": [["02:15", "02:45"]]}), "03-29", &["29T01:15-29T01:45"])]
#[case::over_the_edge_of_the_gap("Europe/Paris", json!({"sun": [["02:30", "03:15"]]}), "03-29", &[])]
#[case::the_autumn_night("Europe/Paris", json!({"sat": [["22:00", "04:00"]]}), "10-25", &["25T00:00-25T03:00"])]
#[case::opening_in_the_hour_that_comes_twice("Europe/Paris", json!({"sun": [["02:30", "05:00"]]}), "10-25", &["25T00:30-25T04:00"])]
#[case::closing_in_the_hour_that_comes_twice("Europe/Paris", json!({"sun": [["01:00", "02:30"]]}), "10-25", &["25T00:00-25T01:30"])]
#[case::martinique("America/Martinique", json!({"thu": [["05:30", "22:30"]]}), "01-15", &["15T09:30-16T00:00"])]
#[case::martinique_in_summer("America/Martinique", json!({"sun": [["05:30", "18:30"]]}), "03-29", &["29T09:30-29T22:30"])]
#[case::noumea_is_ahead("Pacific/Noumea", json!({"thu": [["06:00", "22:00"]], "fri": [["06:00", "22:00"]]}), "01-15", &["15T00:00-15T11:00", "15T19:00-16T00:00"])]
#[case::where_midnight_is_skipped("America/Santiago", json!({"sat": [["20:00", "00:00"]], "sun": [["00:00", "02:00"]]}), "09-06", &["06T00:00-06T05:00"])]
fn the_hours_of_a_day(
    #[case] zone: &str,
    #[case] hours: Value,
    #[case] day: &str,
    #[case] expected: &[&str],
) {
    let from = time(&format!("2026-{day}T00:00:00Z"));
    let to = from + TimeDelta::days(1);
    let spans = spans(&hours, zone, &from.to_rfc3339(), &to.to_rfc3339());
    assert_eq!(spans, expected);
}

#[rstest]
#[case::in_the_middle("01-15T12:00", 30, "01-15T11:30")]
#[case::exactly_since_it_opened("01-15T05:30", 30, "01-14T21:00")]
#[case::a_little_longer("01-15T05:29", 30, "01-14T20:59")]
#[case::at_night("01-15T03:00", 30, "01-14T20:30")]
#[case::over_the_weekend("01-19T05:10", 30, "01-16T20:40")]
#[case::for_days("01-19T05:00", 60 * 16 * 3, "01-13T21:00")]
#[case::for_longer_than_anybody_looks("01-19T05:00", 60 * 24 * 28, "2025-12-22T05:00")]
fn silence_is_counted_in_opening_time(
    #[case] now: &str,
    #[case] minutes: i64,
    #[case] since: &str,
) {
    let open = json!([["06:00", "22:00"]]);
    let week = json!({"mon": open, "tue": open, "wed": open, "thu": open, "fri": open});
    let hours = Hours::read(Some(&week), "Europe/Paris").unwrap();
    let year = |text: &str| match text.len() {
        11 => time(&format!("2026-{text}:00Z")),
        _ => time(&format!("{text}:00Z")),
    };

    let found = hours.silent_since(year(now), TimeDelta::minutes(minutes));

    assert_eq!(found, Some(year(since)));
}

#[test]
fn a_gym_without_hours_is_always_open_and_one_without_days_never() {
    let now = time("2026-01-15T03:00:00Z");
    let five = TimeDelta::minutes(5);
    let always = Hours::read(None, "No/Where").unwrap();
    let never = Hours::read(Some(&json!({})), "Europe/Paris").unwrap();

    assert_eq!(always.silent_since(now, five), Some(now - five));
    assert_eq!(never.silent_since(now, five), None);
    assert_eq!(never.latest(now, five), []);
}

#[rstest]
#[case::an_unknown_zone(json!({}), "Mars/Olympus")]
#[case::a_list(json!([]), "Europe/Paris")]
#[case::an_unknown_day(json!({"monday": []}), "Europe/Paris")]
#[case::a_day_that_is_no_list(json!({"mon": "06:00"}), "Europe/Paris")]
#[case::a_time_alone(json!({"mon": ["06:00"]}), "Europe/Paris")]
#[case::three_times(json!({"mon": [["06:00", "07:00", "08:00"]]}), "Europe/Paris")]
#[case::no_such_hour(json!({"mon": [["06:00", "24:00"]]}), "Europe/Paris")]
#[case::a_number(json!({"mon": [[6, 22]]}), "Europe/Paris")]
#[case::words_without_end(json!({"mon": ["é".repeat(500)]}), "Europe/Paris")]
fn unreadable(#[case] hours: Value, #[case] zone: &str) {
    let error = Hours::read(Some(&hours), zone).unwrap_err();
    assert!(error.to_string().len() < 120, "{error}");
}

fn total(spans: &[Span]) -> TimeDelta {
    spans.iter().map(Span::length).sum()
}

prop_compose! {
    fn a_week()(week in prop::collection::btree_map(
        prop::sample::select(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
        prop::collection::vec((0u32..24, 0u32..60, 0u32..24, 0u32..60), 0..4),
        0..7,
    )) -> Value {
        let span = |(a, b, c, d): &(u32, u32, u32, u32)| json!([format!("{a:02}:{b:02}"), format!("{c:02}:{d:02}")]);
        week.iter()
            .map(|(day, spans)| ((*day).to_owned(), spans.iter().map(span).collect()))
            .collect::<serde_json::Map<String, Value>>()
            .into()
    }
}

fn a_zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Europe/Paris",
        "America/Martinique",
        "Pacific/Noumea",
        "America/Santiago",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "UTC",
    ])
}

proptest! {
    #[test]
    fn spans_are_sorted_disjoint_and_within_bounds(
        week in a_week(), zone in a_zone(), from in 1_262_304_000_i64..1_830_000_000, long in 0i64..4_000_000,
    ) {
        let hours = Hours::read(Some(&week), zone).unwrap();
        let from = DateTime::from_timestamp(from, 0).unwrap();
        let to = from + TimeDelta::seconds(long);
        let spans = hours.spans(from, to);
        for span in &spans {
            prop_assert!(from <= span.from && span.from < span.to && span.to <= to, "{:?}", span);
        }
        for pair in spans.windows(2) {
            prop_assert!(pair[0].to < pair[1].from, "{:?}", pair);
        }
        // Cut in two, it is the same time.
        let middle = from + TimeDelta::seconds(long / 2);
        let halves = total(&hours.spans(from, middle)) + total(&hours.spans(middle, to));
        prop_assert_eq!(halves, total(&spans));
    }

    #[test]
    fn silence_is_as_long_as_asked_and_grows_with_it(
        week in a_week(), zone in a_zone(), now in 1_262_304_000_i64..1_830_000_000,
        short in 0i64..90_000, more in 0i64..90_000,
    ) {
        let hours = Hours::read(Some(&week), zone).unwrap();
        let now = DateTime::from_timestamp(now, 0).unwrap();
        let short = TimeDelta::seconds(short);
        let long = short + TimeDelta::seconds(more);
        let in_reach = total(&hours.spans(now - LOOK_BACK, now));
        let found = (hours.silent_since(now, short), hours.silent_since(now, long));
        let (Some(later), Some(earlier)) = found else {
            prop_assert_eq!((in_reach, found), (TimeDelta::zero(), (None, None)));
            return Ok(());
        };
        prop_assert!(earlier <= later && later <= now);
        for (since, asked) in [(later, short), (earlier, long)] {
            let open = total(&hours.spans(since, now));
            prop_assert_eq!(open, asked.min(in_reach));
            // And none earlier would do.
            if since > now - LOOK_BACK {
                let before = since - TimeDelta::seconds(1);
                prop_assert!(total(&hours.spans(before, now)) > asked);
            }
        }
    }
}
