//! The report as CSV and JSON.

use axum::http::Method;
use rstest::rstest;

use super::{read, with_a_busy_week};
use crate::app::OPERATOR_SECRET;

#[tokio::test]
async fn the_table_has_every_number_on_a_line_of_its_own() {
    let app = with_a_busy_week().await;

    let reply = read(&app, "/reports/lyon/2025-W05.csv?lang=fr").await;

    assert_eq!(
        reply.headers["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        reply.headers["content-disposition"],
        "attachment; filename=\"lyon-2025-W05.csv\""
    );
    let text = reply.text.strip_prefix('\u{feff}').unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines[0], "section;item;label;value;previous;change");
    for line in [
        "metric;visits;Visites;6;28;-0,7857",
        "visits_by_day;1;lundi;3;4;-0,25",
        "visits_by_hour;1 12;lundi 12\u{202f}h;1;;",
    ] {
        assert!(lines.contains(&line), "{line} is not in {lines:#?}");
    }
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("at_risk;") && line.ends_with(";Ada Lovelace;0,91;;")),
        "{lines:#?}"
    );
    assert!(
        lines.iter().all(|line| line.matches(';').count() == 5),
        "{lines:#?}"
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("visits_by_hour"))
            .count(),
        168
    );
}

#[rstest]
#[case::french("?lang=fr", "metric;visits;Visites;6;28;-0,7857")]
#[case::english("?lang=en", "metric,visits,Visits,6,28,-0.7857")]
#[case::french_with_commas("?lang=fr&sep=,", "metric,visits,Visites,6,28,-0.7857")]
#[case::french_with_commas_encoded("?sep=%2C", "metric,visits,Visites,6,28,-0.7857")]
#[case::french_with_semicolons("?sep=%3B", "metric;visits;Visites;6;28;-0,7857")]
#[case::english_with_semicolons("?lang=en&sep=;", "metric;visits;Visits;6;28;-0,7857")]
#[case::with_tabs("?sep=%09", "metric\tvisits\tVisites\t6\t28\t-0,7857")]
#[case::english_with_tabs("?lang=en&sep=%09", "metric\tvisits\tVisits\t6\t28\t-0.7857")]
#[tokio::test]
async fn cells_and_decimals_are_separated_as_the_readers_spreadsheet_is_set(
    #[case] query: &str,
    #[case] line: &str,
) {
    let app = with_a_busy_week().await;

    let table = read(&app, &format!("/reports/lyon/2025-W05.csv{query}"))
        .await
        .text;

    let table = table.strip_prefix('\u{feff}').expect("no byte order mark");
    assert!(table.lines().any(|it| it == line), "{table}");
}

#[rstest]
#[tokio::test]
async fn another_separator_is_refused(
    #[values("sep=", "sep=x", "sep=;;", "sep=%22", "sep=.", "sep=+", "sep=%0A")] query: &str,
    #[values("", ".json", ".csv")] form: &str,
) {
    let app = with_a_busy_week().await;
    let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    let path = format!("/reports/lyon/2025-W05{form}?{query}");

    let reply = app.call(Method::GET, &path, &headers, "").await;

    assert_eq!(reply.status, 422, "{reply:?}");
    assert!(reply.text.contains("a semicolon (%3B)"), "{reply:?}");
}

#[tokio::test]
async fn the_json_is_what_is_stored_with_names() {
    let app = with_a_busy_week().await;

    let reply = read(&app, "/reports/lyon/2025-W05.json").await;

    assert_eq!(reply.headers["content-type"], "application/json");
    let mut stored = app
        .rows("select metrics, insights, recommendations from weekly_reports")
        .await;
    let first = &reply.body["metrics"]["at_risk"][0];
    assert_eq!(first["name"], "Ada Lovelace");
    for member in stored[0]["metrics"]["at_risk"].as_array_mut().unwrap() {
        let same = reply.body["metrics"]["at_risk"]
            .as_array()
            .unwrap()
            .iter()
            .find(|other| other["member_id"] == member["member_id"]);
        member["name"] = same.unwrap()["name"].clone();
    }
    for part in ["metrics", "insights", "recommendations"] {
        assert_eq!(reply.body[part], stored[0][part]);
    }
    assert_eq!(reply.body["week"], "2025-W05");
}
