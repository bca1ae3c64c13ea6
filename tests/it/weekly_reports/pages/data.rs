//! The report as CSV and JSON.

use super::{read, with_a_busy_week};

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
    let lines: Vec<&str> = reply.text.split_terminator("\r\n").collect();
    assert_eq!(lines[0], "section,item,label,value,previous,change");
    assert!(
        lines.contains(&"metric,visits,Visites,6,28,-0.7857"),
        "{lines:#?}"
    );
    assert!(
        lines.contains(&"visits_by_day,1,lundi,3,4,-0.25"),
        "{lines:#?}"
    );
    assert!(
        lines.contains(&"visits_by_hour,1 12,lundi 12\u{202f}h,1,,"),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("at_risk,") && line.ends_with(",Ada Lovelace,0.91,,")),
        "{lines:#?}"
    );
    assert!(
        lines.iter().all(|line| line.matches(',').count() == 5),
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

#[tokio::test]
async fn a_semicolon_begins_no_formula_either() {
    let app = with_a_busy_week().await;
    app.execute("update members set last_name = 'L;=1+1;-2;x' where first_name = 'Ada'")
        .await;

    let table = read(&app, "/reports/lyon/2025-W05.csv").await.text;

    assert!(table.contains(",Ada L;'=1+1;-2;x,"), "{table}");
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
