//! Members whose name and id are gone from a report.

use rstest::rstest;
use serde_json::json;

use super::{read, with_a_busy_week};
use crate::app::App;

const FORMS: [&str; 3] = [
    "/reports/lyon/2025-W05",
    "/reports/lyon/2025-W05.json",
    "/reports/lyon/2025-W05.csv",
];

/// Ada's id, as text.
async fn ada(app: &App) -> String {
    let rows = app
        .rows("select id from members where first_name = 'Ada'")
        .await;
    rows[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_report_can_still_be_read_when_a_member_in_it_was_anonymised() {
    let app = with_a_busy_week().await;
    let ada = ada(&app).await;
    app.execute(
        "update members
            set status = 'cancelled', joined_on = '2015-01-01', cancelled_at = '2020-01-01'
          where first_name = 'Ada';
         delete from visits where member_id = (select id from members where first_name = 'Ada')",
    )
    .await;

    let reply = app.operate("cleanup-old-data", "").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let anonymised = "select count(*) from members where status = 'anonymised'";
    assert_eq!(app.count(anonymised).await, 1);
    for form in FORMS {
        let text = read(&app, form).await.text;
        assert!(!text.contains("Ada") && !text.contains(&ada), "{text}");
        assert!(text.contains("Bob Lovelace"), "{text}");
    }
}

#[rstest]
#[case::objects("update members set churn_opt_out = true where first_name = 'Ada'")]
#[case::anonymised("update members set anonymised_at = now() where first_name = 'Ada'")]
#[case::deleted(
    "delete from visits where member_id = (select id from members where first_name = 'Ada');
     delete from members where first_name = 'Ada'"
)]
#[tokio::test]
async fn who_objects_or_is_gone_since_is_a_score_and_a_level_and_nothing_else(
    #[case] change: &str,
) {
    let app = with_a_busy_week().await;
    let ada = ada(&app).await;

    app.execute(change).await;

    for form in FORMS {
        let text = read(&app, form).await.text;
        assert!(!text.contains("Ada") && !text.contains(&ada), "{text}");
    }
    let json = read(&app, FORMS[1]).await.body;
    let anonymous = json!({ "member_id": null, "name": null, "score": 0.91, "level": "critical" });
    assert_eq!(json["metrics"]["at_risk"][0], anonymous);
    let csv = read(&app, FORMS[2]).await.text;
    assert!(
        csv.contains("at_risk;;Membre anonymisé;0,91;;\r\n"),
        "{csv}"
    );
    assert!(read(&app, FORMS[0]).await.text.contains("Membre anonymisé"));
}
