//! Gyms that are scored for the first time: one alert for all who are at risk.

use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::seed::every;
use super::*;

const NEXT: &str = "2025-06-17T02:00:00Z";

/// So many more members of the gym who were here every other day, until fifty
/// days ago.
async fn gone<const N: usize>(app: &App, gym: Uuid) -> [Uuid; N] {
    let members = app.members(gym, 300).await;
    for member in members {
        app.came(member, every(50, 2)).await;
    }
    members
}

async fn alerts(app: &App) -> Value {
    app.rows("select kind, status, count(*) from alerts group by 1, 2 order by 1, 2")
        .await
}

/// What the alerts of first nights say.
async fn told(app: &App) -> Value {
    let told = app
        .rows(
            "select jsonb_agg(details order by opened_at) as details
               from alerts where kind = 'churn_first_night'",
        )
        .await;
    told[0]["details"].clone()
}

#[tokio::test]
async fn all_who_are_at_risk_in_a_first_night_are_one_alert() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    gone::<3>(&app, gym).await;
    let [high, regular] = app.members(gym, 300).await;
    app.came(high, every(22, 2)).await;
    app.came(regular, every(1, 2)).await;

    let first = app.analyse(TONIGHT).await;

    assert_eq!(first.results()["alerts_opened"], 1, "{first:?}");
    assert_eq!(first.results()["first_night_at_risk"], 4);
    let message = first.body["message"].as_str().unwrap();
    assert!(message.contains("first_night_at_risk 4"), "{message}");
    let alert =
        "select kind, severity, status, title, gym_id, member_id, details, occurrences from alerts";
    let mut expected = json!([{
        "kind": "churn_first_night", "severity": "high", "status": "open",
        "title": "Members at risk since the first night of A gym: 4",
        "gym_id": gym, "member_id": null, "occurrences": 1,
        "details": { "high": 1, "critical": 3, "all_scored": true },
    }]);
    assert_eq!(app.rows(alert).await, expected);

    app.analyse("2025-06-16T10:00:00Z").await;
    assert_eq!(app.rows(alert).await, expected);
    let next = app.analyse(NEXT).await;
    assert_eq!(next.results()["alerts_opened"], 0, "{next:?}");
    assert_eq!(next.results()["first_night_at_risk"], 0);
    expected[0]["occurrences"] = json!(2);
    assert_eq!(app.rows(alert).await, expected);
}

#[tokio::test]
async fn who_turns_or_gets_worse_after_the_first_night_has_an_alert_of_their_own() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [stands] = gone(&app, gym).await;
    let [worse, turns] = app.members(gym, 300).await;
    app.came(worse, every(22, 2)).await;
    app.came(turns, every(5, 2)).await;
    app.analyse(TONIGHT).await;
    assert_eq!(app.level(worse).await, "high");
    assert_eq!(app.level(turns).await, "low");

    let later = app.analyse("2025-07-16T02:00:00Z").await;

    assert_eq!(app.level(worse).await, "critical");
    assert_eq!(later.results()["alerts_opened"], 2, "{later:?}");
    let own = format!(
        "select count(*) from alerts where kind = 'churn_risk' and member_id in ('{worse}', '{turns}')"
    );
    assert_eq!(app.count(&own).await, 2);
    assert_eq!(
        told(&app).await,
        json!([{ "high": 0, "critical": 1, "all_scored": true }])
    );

    // The last of the first night comes back, and stays away again.
    app.came(stands, vec![-31]).await;
    let back = app.analyse("2025-07-18T02:00:00Z").await;
    assert_eq!(back.results()["alerts_resolved"], 1, "{back:?}");
    let resolved = "select resolved_by from alerts where status = 'resolved'";
    assert_eq!(
        app.rows(resolved).await,
        json!([{ "resolved_by": "system" }])
    );
    let again = app.analyse("2025-10-18T02:00:00Z").await;
    assert_eq!(again.results()["alerts_opened"], 1, "{again:?}");
    assert_eq!(
        alerts(&app).await,
        json!([{ "kind": "churn_first_night", "status": "resolved", "count": 1 },
               { "kind": "churn_risk", "status": "open", "count": 3 }])
    );
}

#[tokio::test]
async fn a_dismissed_alert_of_a_first_night_stays_dismissed() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    gone::<2>(&app, gym).await;
    app.analyse(TONIGHT).await;
    app.execute("update alerts set status = 'dismissed'").await;

    let next = app.analyse(NEXT).await;

    assert_eq!(next.results()["alerts_opened"], 0, "{next:?}");
    assert_eq!(
        alerts(&app).await,
        json!([{ "kind": "churn_first_night", "status": "dismissed", "count": 1 }])
    );
}

#[rstest]
#[case::and_no_one_looked("open", json!([{ "high": 0, "critical": 6, "all_scored": true }]))]
#[case::and_what_it_said_is_dismissed("dismissed", json!([
    { "high": 0, "critical": 4, "all_scored": false },
    { "high": 0, "critical": 6, "all_scored": true }
]))]
#[tokio::test]
async fn a_first_night_that_was_cut_off_goes_on_in_the_next(
    #[case] status: &str,
    #[case] expected: Value,
) {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    gone::<6>(&app, gym).await;
    let first = app.analyse_with(TONIGHT, "&limit=4&batch_size=2").await;
    assert_eq!(first.results()["alerts_opened"], 1, "{first:?}");
    assert_eq!(
        told(&app).await,
        json!([{ "high": 0, "critical": 4, "all_scored": false }])
    );
    app.execute(&format!("update alerts set status = '{status}'"))
        .await;

    let next = app.analyse(NEXT).await;

    assert_eq!(next.results()["first_night_at_risk"], 2, "{next:?}");
    assert_eq!(told(&app).await, expected);
    let own = "select count(*) from alerts where kind = 'churn_risk'";
    assert_eq!(app.count(own).await, 0);
}

/// Of the night before there may be the history, or the rows of members only.
#[rstest]
#[case::both("")]
#[case::its_history_is_not_kept("delete from member_churn_history")]
#[tokio::test]
async fn who_is_imported_after_the_first_night_has_an_alert_of_their_own(#[case] and: &str) {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    gone::<2>(&app, gym).await;
    app.analyse(TONIGHT).await;
    app.execute(and).await;
    gone::<1>(&app, gym).await;

    let next = app.analyse(NEXT).await;

    assert_eq!(next.results()["alerts_opened"], 1, "{next:?}");
    assert_eq!(next.results()["first_night_at_risk"], 0);
    assert_eq!(
        alerts(&app).await,
        json!([{ "kind": "churn_first_night", "status": "open", "count": 1 },
               { "kind": "churn_risk", "status": "open", "count": 1 }])
    );
}

#[tokio::test]
async fn who_is_imported_later_on_the_day_of_the_first_night_belongs_to_it() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    gone::<2>(&app, gym).await;
    app.analyse(TONIGHT).await;
    gone::<1>(&app, gym).await;

    let again = app.analyse("2025-06-16T10:00:00Z").await;

    assert_eq!(again.results()["alerts_opened"], 0, "{again:?}");
    assert_eq!(
        told(&app).await,
        json!([{ "high": 0, "critical": 3, "all_scored": true }])
    );
}

#[tokio::test]
async fn a_gym_that_comes_later_has_a_first_night_of_its_own() {
    let app = App::new().await;
    let old = app.gym_in("Europe/Paris").await;
    let [turns] = app.members(old, 300).await;
    app.came(turns, every(5, 2)).await;
    app.analyse_with(TONIGHT, &format!("&gym_id={old}")).await;
    let [new, other] = [
        app.gym_in("Europe/Paris").await,
        app.gym_in("Pacific/Auckland").await,
    ];
    gone::<2>(&app, new).await;
    gone::<2>(&app, other).await;
    app.analyse_with("2025-07-15T02:00:00Z", &format!("&gym_id={new}"))
        .await;
    assert_eq!(
        app.rows("select kind, gym_id from alerts").await,
        json!([{ "kind": "churn_first_night", "gym_id": new }])
    );

    app.analyse("2025-07-16T02:00:00Z").await;

    let by_gym = format!(
        "select kind, case gym_id when '{old}' then 'old' when '{new}' then 'new' else 'other' end as gym
           from alerts order by 1, 2"
    );
    assert_eq!(
        app.rows(&by_gym).await,
        json!([{ "kind": "churn_first_night", "gym": "new" },
               { "kind": "churn_first_night", "gym": "other" },
               { "kind": "churn_risk", "gym": "old" }])
    );
}

#[tokio::test]
async fn a_gym_whose_members_are_all_replaced_has_a_first_night_again() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    gone::<2>(&app, gym).await;
    app.analyse(TONIGHT).await;
    app.execute("delete from member_churn; delete from visits; delete from members")
        .await;
    gone::<3>(&app, gym).await;

    let next = app.analyse(NEXT).await;

    assert_eq!(next.results()["first_night_at_risk"], 3, "{next:?}");
    assert_eq!(
        alerts(&app).await,
        json!([{ "kind": "churn_first_night", "status": "open", "count": 1 }])
    );
    assert_eq!(
        told(&app).await,
        json!([{ "high": 0, "critical": 3, "all_scored": true }])
    );
    app.execute("delete from member_churn; delete from visits; delete from members")
        .await;
    let empty = app.analyse("2025-06-18T02:00:00Z").await;
    assert_eq!(empty.results()["alerts_resolved"], 1, "{empty:?}");
}

#[tokio::test]
async fn a_dry_run_of_a_first_night_counts_what_the_night_does_and_force_adds_no_alert() {
    let app = App::new().await;
    for _ in 0..2 {
        let gym = app.gym_in("Europe/Paris").await;
        gone::<3>(&app, gym).await;
    }
    let before = app.checksums().await;

    let dry = app
        .analyse_with(TONIGHT, "&dry_run=true&batch_size=2")
        .await;
    assert_eq!(app.checksums().await, before);
    let real = app.analyse_with(TONIGHT, "&batch_size=4").await;

    let counts = |reply: &Reply| {
        let mut results = reply.results().clone();
        results.as_object_mut().unwrap().remove("samples");
        results
    };
    assert_eq!(counts(&dry), counts(&real));
    assert_eq!(real.results()["alerts_opened"], 2);
    assert_eq!(real.results()["first_night_at_risk"], 6);
    let forced = app
        .analyse_with("2025-06-16T10:00:00Z", "&force=true")
        .await;
    assert_eq!(forced.results()["processed"], 6);
    assert_eq!(forced.results()["alerts_opened"], 0);
    assert_eq!(
        alerts(&app).await,
        json!([{ "kind": "churn_first_night", "status": "open", "count": 2 }])
    );
}
