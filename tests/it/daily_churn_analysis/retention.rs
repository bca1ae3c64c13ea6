//! Who stays away does not come back by the deletion of their visits.

use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::seed::every;
use super::*;

/// A member who came every other day until so many days ago, judged on the
/// night before all but a few of those visits are deleted.
async fn judged(app: &App, last_ago: i32) -> Uuid {
    let gym = app.gym_in("Europe/Paris").await;
    app.scored_before(gym).await;
    let [member, daily] = app.members(gym, 600).await;
    app.came(member, every(last_ago, 2)).await;
    app.came(daily, every(-60, 1)).await;
    app.analyse(TONIGHT).await;
    member
}

#[rstest]
#[case::all("")]
#[case::all_but_the_last("and checked_in_at < '2025-04-27'")]
#[tokio::test]
async fn who_was_critical_stays_critical_when_retention_took_their_visits(#[case] which: &str) {
    let app = App::new().await;
    let member = judged(&app, 50).await;
    let before = app.score(member).await;
    app.execute(&format!(
        "delete from visits where member_id = '{member}' {which};
         update members set last_contact_at = '2025-04-27T16:00:00Z' where id = '{member}'"
    ))
    .await;

    for night in ["2025-06-17", "2025-07-17"] {
        let reply = app.analyse(&format!("{night}T02:00:00Z")).await;
        assert_eq!(app.level(member).await, "critical", "{night}");
        assert!(app.score(member).await >= before);
        assert_eq!(reply.results()["never_visited"], 0);
        assert_eq!(reply.results()["alerts_resolved"], 0);
    }
    assert_eq!(
        app.rows("select status, occurrences from alerts").await,
        json!([{ "status": "open", "occurrences": 3 }])
    );
    // Until something newer is known.
    app.came(member, vec![-36, -38, -40]).await;
    let reply = app.analyse("2025-07-28T02:00:00Z").await;
    assert_eq!(reply.results()["alerts_resolved"], 1);
}

/// Of scores that an older version wrote, nothing else is kept.
#[rstest]
#[case::both("")]
#[case::the_newest("delete from member_churn_history")]
#[tokio::test]
async fn a_score_of_which_one_row_is_left_is_kept(#[case] and: &str) {
    let app = App::new().await;
    let member = judged(&app, 50).await;
    app.execute(&format!(
        "delete from visits where member_id = '{member}';
         update member_churn set first_visit_on = null, last_visit_on = null, visit_days = null;
         {and}"
    ))
    .await;

    app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(app.level(member).await, "critical");
    assert_eq!(
        app.rows("select status from alerts").await,
        json!([{ "status": "open" }])
    );
}

#[tokio::test]
async fn who_came_after_the_last_score_is_known_by_the_last_contact() {
    let app = App::new().await;
    let member = judged(&app, 50).await;
    app.execute(&format!(
        "delete from visits where member_id = '{member}';
         update members set last_contact_at = '2025-06-18T16:00:00Z' where id = '{member}'"
    ))
    .await;

    let reply = app.analyse("2025-06-19T02:00:00Z").await;

    assert_eq!(app.level(member).await, "low");
    assert_eq!(reply.results()["alerts_resolved"], 1);
}
