//! Why a member is at risk stands beside the name, as far as it is known now.

use rstest::rstest;
use serde_json::json;

use super::{read, with_a_busy_week};
use crate::app::App;

const PAGE: &str = "/reports/lyon/2025-W05";

/// A report whose most critical member has a score of today with reasons.
async fn with_reasons() -> App {
    let app = with_a_busy_week().await;
    app.execute(
        r#"insert into member_churn (member_id, gym_id, score, level, factors, model_version, scored_on)
           select id, gym_id, 0.91, 'critical', '[
                      {"code": "trend", "value": 2, "usual": 8.5, "points": 0.4, "text": "x"},
                      {"code": "intercept", "points": 9},
                      {"code": "of_a_later_version", "value": 1, "points": 8},
                      {"code": "absence", "value": 40, "usual": 3.2, "points": 1.7, "text": "x"},
                      {"code": "tenure", "value": 7, "points": 0.1, "text": "x"},
                      {"code": "negative_conversations", "value": 2, "usual": 3, "points": 0.9, "text": "x"},
                      {"code": "contract_end", "value": 5, "points": -0.5, "text": "x"},
                      "none"
                  ]', 'test', '2025-02-04'
             from members where first_name = 'Ada'"#,
    )
    .await;
    app
}

fn reasons(page: &str) -> Vec<&str> {
    let parts = page.split("<span class=\"reason\">").skip(1);
    parts
        .map(|part| part.split("</span>").next().unwrap())
        .collect()
}

#[rstest]
#[case::french("fr", [
    "aucune visite depuis 40 jours, d’habitude tous les 3 jours",
    "2 conversations négatives sur 3",
    "2 visites en quatre semaines, 8,5 d’habitude",
])]
#[case::english("en", [
    "no visit for 40 days, usually every 3 days",
    "2 of 3 conversations negative",
    "2 visits in four weeks, 8.5 usually",
])]
#[tokio::test]
async fn the_three_strongest_reasons_are_said_in_the_readers_language(
    #[case] language: &str,
    #[case] expected: [&str; 3],
) {
    let app = with_reasons().await;

    let page = read(&app, &format!("{PAGE}?lang={language}")).await.text;
    let table = read(&app, &format!("{PAGE}.csv?lang={language}&sep=,"))
        .await
        .text;

    assert_eq!(reasons(&page), expected);
    let ada = page.find("Ada Lovelace").unwrap();
    let reason = page.find(expected[0]).unwrap();
    assert!(ada < reason && reason < page.find("Bob Lovelace").unwrap());
    for reason in expected {
        let cell = if reason.contains(',') {
            format!("\"{reason}\"")
        } else {
            reason.to_owned()
        };
        let lines = table
            .lines()
            .filter(|line| line.starts_with("at_risk_reason,"));
        let mut found = lines.filter(|line| line.ends_with(&format!(",{cell},,,")));
        assert!(found.next().is_some(), "{reason} is not in {table}");
    }
}

#[tokio::test]
async fn programs_get_them_as_codes_and_no_report_stores_them() {
    let app = with_reasons().await;

    let report = read(&app, &format!("{PAGE}.json")).await.body;

    let at_risk = &report["metrics"]["at_risk"];
    let first = json!({ "code": "absence", "value": 40.0, "usual": 3.2 });
    assert_eq!(at_risk[0]["reasons"][0], first);
    assert_eq!(at_risk[0]["reasons"].as_array().unwrap().len(), 3);
    assert!(at_risk[1].get("reasons").is_none(), "{at_risk}");
    let stored = "select count(*) from weekly_reports r where r::text like '%absence%'";
    assert_eq!(app.count(stored).await, 0);
}

#[rstest]
#[case::objects("update members set churn_opt_out = true")]
#[case::anonymised("update members set anonymised_at = now()")]
#[case::cancelled("update members set status = 'cancelled', cancelled_at = now()")]
#[case::frozen("update members set status = 'frozen', frozen_until = '2099-01-01'")]
#[case::came_back("update member_churn set level = 'low', score = 0.1")]
#[case::the_score_is_gone("delete from member_churn")]
#[case::an_odd_shape("update member_churn set factors = '{\"code\": \"absence\"}'")]
#[case::odd_numbers(
    "update member_churn set factors = '[{\"code\": \"absence\", \"points\": \"1\"}]'"
)]
#[tokio::test]
async fn who_left_objects_or_came_back_since_has_none(#[case] change: &str) {
    let app = with_reasons().await;

    app.execute(change).await;

    assert_eq!(reasons(&read(&app, PAGE).await.text), [""; 0]);
    let table = read(&app, &format!("{PAGE}.csv")).await.text;
    assert!(!table.contains("at_risk_reason"), "{table}");
    let report = read(&app, &format!("{PAGE}.json")).await.body;
    assert!(report["metrics"]["at_risk"][0].get("reasons").is_none());
}
