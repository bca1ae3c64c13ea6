//! What a file may say, and the errors for what it may not.

use super::*;

/// The faults that `plan` reports of a file, before it reads a setting.
async fn faults(text: &str) -> Vec<String> {
    let file = Written::new(text);
    let done = run(
        &Settings::new(),
        &["schedules", "plan", "--file", file.path()],
    )
    .await;
    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    let mut lines = done.err.lines();
    assert_eq!(
        lines.next(),
        Some("jarvis-cron: the schedules are invalid:")
    );
    lines.map(|line| line.trim().to_owned()).collect()
}

#[rstest]
#[case::unknown_job("job", json!("mow-the-lawn"), "schedules[0].job: there is no job \"mow-the-lawn\"; there are: expire-stale-orders, ")]
#[case::id_without_prefix("id", json!("expire-orders"), "schedules[0].id: must begin with jarvis-")]
#[case::id_with_a_slash("id", json!("jarvis-a/b"), "schedules[0].id: must begin with jarvis-")]
#[case::id_in_capitals("id", json!("jarvis-Orders"), "schedules[0].id: must begin with jarvis-")]
#[case::id_of_nothing("id", json!("jarvis-"), "schedules[0].id: must begin with jarvis-")]
#[case::doubled_id("id", json!("jarvis-daily-churn"), "schedules[4].id: \"jarvis-daily-churn\" is the id of schedules[0] already")]
#[case::minute("cron", json!("60 3 * * *"), "schedules[0].cron: the field for the minute, \"60\": only *, numbers from 0 to 59")]
#[case::hour("cron", json!("0 24 * * *"), "schedules[0].cron: the field for the hour, \"24\": only *, numbers from 0 to 23")]
#[case::day_of_the_month("cron", json!("0 3 0 * *"), "schedules[0].cron: the field for the day of the month, \"0\"")]
#[case::month_by_name("cron", json!("0 3 * JAN *"), "schedules[0].cron: the field for the month, \"JAN\"")]
#[case::seven_for_sunday("cron", json!("0 3 * * 7"), "schedules[0].cron: the field for the day of the week, \"7\": only *, numbers from 0 to 6")]
#[case::last_friday("cron", json!("0 3 * * 5L"), "schedules[0].cron: the field for the day of the week, \"5L\"")]
#[case::range_around_midnight("cron", json!("0 22-2 * * *"), "schedules[0].cron: the field for the hour, \"22-2\": a range begins with the smaller number")]
#[case::step_of_nothing("cron", json!("*/0 * * * *"), "schedules[0].cron: the field for the minute, \"*/0\": a step is a number from 1 to 59")]
#[case::step_from_a_number("cron", json!("5/10 * * * *"), "schedules[0].cron: the field for the minute, \"5/10\": a step needs * or a range before it")]
#[case::zero_in_front("cron", json!("00 3 * * *"), "schedules[0].cron: the field for the minute, \"00\"")]
#[case::empty_item("cron", json!("0,,5 3 * * *"), "schedules[0].cron: the field for the minute, \"0,,5\"")]
#[case::both_kinds_of_days("cron", json!("0 3 1 * 1"), "schedules[0].cron: \"0 3 1 * 1\" names days of the month and of the week")]
#[case::seconds("cron", json!("0 0 3 * * *"), "schedules[0].cron: \"0 0 3 * * *\" must be five fields")]
#[case::name_of_a_cron("cron", json!("@daily"), "schedules[0].cron: \"@daily\" must be five fields")]
#[case::zone_in_the_cron("cron", json!("CRON_TZ=UTC 0 3 * * *"), "schedules[0].cron: \"CRON_TZ=UTC 0 3 * * *\" must be five fields")]
#[case::two_spaces("cron", json!("0  3 * * *"), "schedules[0].cron: \"0  3 * * *\" must be five fields")]
#[case::no_text("cron", json!(5), "schedules[0].cron: invalid type: integer `5`, expected a string at line 1 column ")]
#[case::duration_without_unit("overdue_after", json!("15"), "schedules[0].overdue_after: must be a duration such as")]
#[case::no_duration("overdue_after", json!("0s"), "schedules[0].overdue_after: must be a duration such as")]
#[case::other_unit("overdue_after", json!("2w"), "schedules[0].overdue_after: must be a duration such as")]
#[case::units_in_disorder("overdue_after", json!("5s1h"), "schedules[0].overdue_after: must be a duration such as")]
#[case::huge_duration("overdue_after", json!("99999999999999999999d"), "schedules[0].overdue_after: must be a duration such as")]
#[case::option_it_has_no_use_for("body", json!({ "force": true }), "schedules[0].body: expire-stale-orders has no use for the option force")]
#[case::unknown_option("body", json!({ "quickly": true }), "schedules[0].body: unknown field `quickly`")]
#[case::option_out_of_bounds("body", json!({ "batch_size": 0 }), "schedules[0].body: batch_size must be at least 1")]
#[case::fixed_moment("body", json!({ "as_of": "2026-01-01T00:00:00Z" }), "schedules[0].body: as_of is not for schedules")]
#[case::rehearsal("body", json!({ "dry_run": true }), "schedules[0].body: dry_run is not for schedules")]
#[case::half_of_it("body", json!({ "shard": { "index": 0, "count": 2 } }), "schedules[0].body: shard is not for schedules")]
#[case::continuation("body", json!({ "continuation_of": "0199a1b2-0000-7000-8000-000000000001" }), "schedules[0].body: continuation_of is not for schedules")]
#[case::body_of_text("body", json!("{}"), "schedules[0].body: invalid type: string \"{}\", expected a map")]
#[case::short_description("description", json!("Mows."), "schedules[0].description: must be 10 to 300 characters long")]
#[case::unknown_field("colour", json!("red"), "schedules[0].colour: unknown field `colour`, expected one of `id`, ")]
#[case::many_retries("retries", json!(11), "schedules[0].retries: must be a whole number from 0 to 10")]
#[case::callback_elsewhere("failure_callback", json!("https://else.test/"), "schedules[0].failure_callback: must be a path")]
#[tokio::test]
async fn a_fault_of_a_schedule_is_reported_with_its_place(
    #[case] field: &str,
    #[case] value: Value,
    #[case] expected: &str,
) {
    let faults = faults(&file(|file| file["schedules"][0][field] = value)).await;
    assert!(faults[0].starts_with(expected), "{faults:?}");
}

#[rstest]
#[case::zone("timezone", json!("Europe/Pariss"), "timezone: \"Europe/Pariss\" is not a time zone")]
#[case::plain_http("base_url", json!("http://cron.example.test"), "base_url: must be ${PUBLIC_URL}, or an https address")]
#[case::slash("base_url", json!("https://cron.example.test/"), "base_url: must be ${PUBLIC_URL}")]
#[case::other_variable("base_url", json!("${OTHER_URL}"), "base_url: must be ${PUBLIC_URL}")]
#[case::with_a_password("base_url", json!("https://a:b@cron.example.test"), "base_url: must be ${PUBLIC_URL}")]
#[case::no_retries("defaults", json!({ "timeout": "60s", "redact_authorization": true }), "defaults: missing field `retries`")]
#[case::unknown_default("defaults", json!({ "retries": 3, "timeout": "60s", "redact_authorization": true, "delay": "5s" }), "defaults.delay: unknown field `delay`")]
#[case::no_schedules("schedules", json!({}), "schedules: invalid type: map, expected a sequence")]
#[case::no_object("schedules", json!(["a"]), "schedules[0]: invalid type: string \"a\", expected an object")]
#[case::unknown_field("colour", json!("red"), "colour: unknown field `colour`, expected one of `$schema`, ")]
#[tokio::test]
async fn a_fault_of_the_file_is_reported_with_its_place(
    #[case] field: &str,
    #[case] value: Value,
    #[case] expected: &str,
) {
    let faults = faults(&file(|file| file[field] = value)).await;
    assert!(faults[0].starts_with(expected), "{faults:?}");
}

#[tokio::test]
async fn all_faults_are_reported_at_once() {
    let broken = file(|file| {
        file["timezone"] = json!("Mars/Olympus");
        file["defaults"]["timeout"] = json!("soon");
        file["schedules"][0]["cron"] = json!("61 25 * * *");
        file["schedules"][2]["id"] = json!("kiosks");
        file["schedules"][5]["job"] = json!("daily-churn-analysis");
    });
    assert_eq!(
        faults(&broken).await,
        [
            "timezone: \"Mars/Olympus\" is not a time zone; it needs an IANA name such as Europe/Paris",
            "defaults.timeout: must be a duration such as 60s, 15m or 1d12h, and not zero",
            "schedules[0].cron: the field for the minute, \"61\": only *, numbers from 0 to 59, lists, ranges and steps",
            "schedules[0].cron: the field for the hour, \"25\": only *, numbers from 0 to 23, lists, ranges and steps",
            "schedules[2].id: must begin with jarvis- and go on with small letters, digits and single hyphens, 64 characters at the most",
            "schedules[5].job: \"daily-churn-analysis\" is the job of schedules[4] already",
        ]
    );
}

#[rstest]
#[case::no_json("{", "the file: is not JSON: ")]
#[case::a_number("5", "the file: invalid type: integer `5`, expected an object")]
#[case::nothing("", "the file: is not JSON: ")]
#[tokio::test]
async fn a_file_that_is_not_an_object_is_refused(#[case] text: &str, #[case] expected: &str) {
    let faults = faults(text).await;
    assert!(faults[0].starts_with(expected), "{faults:?}");
}

#[tokio::test]
async fn a_file_that_is_not_there_exits_2() {
    let done = run(
        &Settings::new(),
        &["schedules", "plan", "--file", "/nowhere/a.json"],
    )
    .await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("/nowhere/a.json"), "{done:?}");
}

#[tokio::test]
async fn a_schedule_may_say_otherwise_than_the_defaults() {
    let qstash = Qstash::new().await;
    let file = Written::new(&file(|file| {
        file["schedules"][0]["retries"] = json!(0);
        file["schedules"][0]["timeout"] = json!("2m");
        file["schedules"][0]["body"] = json!({ "batch_size": 50 });
    }));
    let done = qstash.run(&["apply", "--file", file.path()]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let made = qstash.double.schedule(ORDERS).unwrap();
    let own = [&made["retries"], &made["timeout"], &made["body"]];
    assert_eq!(
        own,
        [&json!(0), &json!("2m"), &json!("{\"batch_size\":50}")]
    );
    let other = qstash.double.schedule(CHURN).unwrap();
    assert_eq!(
        [&other["retries"], &other["timeout"]],
        [&json!(3), &json!("60s")]
    );
}

#[test]
fn the_schema_for_editors_has_the_same_fields() {
    let schema = include_str!("../../../deploy/qstash-schedules.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let names = |object: &Value| -> Vec<String> {
        object["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let refused = |text: String| {
        let faults = text.parse::<Schedules>().err();
        let faults = faults.map_or_else(String::new, |faults| faults.to_string());
        faults.contains("unknown field")
    };
    for name in names(&schema) {
        assert!(!refused(file(|file| file[&name] = json!(1))), "{name}");
    }
    for name in names(&schema["$defs"]["schedule"]) {
        let with = file(|file| file["schedules"][0][&name] = json!(1));
        assert!(!refused(with), "{name}");
    }
    let delivery = names(&schema["$defs"]["delivery"]);
    for name in &delivery {
        let with = file(|file| file["defaults"][name] = json!(1));
        assert!(!refused(with), "{name}");
    }
    let of_a_schedule = names(&schema["$defs"]["schedule"]);
    assert!(delivery.iter().all(|name| of_a_schedule.contains(name)));
}
