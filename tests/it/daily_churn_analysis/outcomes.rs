//! What became of the predictions, and how good they were.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

/// A prediction of so many days before [`TODAY`].
async fn predicted(app: &App, member: Uuid, days_ago: i32, score: f32) {
    sqlx::query(
        "insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version)
         select id, $2::date - $3::int, gym_id, $4, 'low', 'test' from members where id = $1",
    )
    .bind(member)
    .bind(TODAY.parse::<chrono::NaiveDate>().unwrap())
    .bind(days_ago)
    .bind(score)
    .execute(&app.db)
    .await
    .unwrap();
}

async fn outcome(app: &App, member: Uuid) -> Value {
    app.rows(&format!(
        "select outcome from member_churn_history
          where member_id = '{member}' and model_version = 'test'"
    ))
    .await[0]["outcome"]
        .clone()
}

#[tokio::test]
async fn a_prediction_gets_its_outcome_when_its_thirty_days_are_over() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [came, on_the_last_day, too_late, before, not_due] = app.members(gym, 300).await;
    for (member, days_ago, visits) in [
        (came, 30, vec![12]),
        (on_the_last_day, 30, vec![1]),
        (too_late, 30, vec![0]),
        (before, 30, vec![31]),
        (not_due, 29, vec![]),
    ] {
        predicted(&app, member, days_ago, 0.5).await;
        app.came(member, visits).await;
    }

    // Late in the evening, when today's visits are known too.
    let reply = app.analyse("2025-06-16T21:00:00Z").await;

    assert_eq!(outcome(&app, came).await, false);
    assert_eq!(outcome(&app, on_the_last_day).await, false);
    assert_eq!(outcome(&app, too_late).await, true);
    assert_eq!(outcome(&app, before).await, true);
    assert_eq!(outcome(&app, not_due).await, Value::Null);
    assert_eq!(reply.results()["outcomes_filled"], 4);
}

#[tokio::test]
async fn missed_nights_are_made_up_for() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let members: [Uuid; 4] = app.members(gym, 300).await;
    for (member, days_ago) in members.into_iter().zip([31, 45, 90, 33]) {
        predicted(&app, member, days_ago, 0.5).await;
    }

    let reply = app.analyse(TONIGHT).await;

    assert_eq!(reply.results()["outcomes_filled"], 4);
    assert_eq!(
        app.count("select count(*) from member_churn_history where outcome")
            .await,
        4
    );
}

#[tokio::test]
async fn a_visit_that_the_prediction_had_seen_is_no_return() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [member] = app.members(gym, 300).await;
    // The morning of a day that was scored in its evening.
    app.came(member, every(30, 3)).await;
    app.analyse("2025-05-17T19:00:00Z").await;

    app.analyse(TONIGHT).await;

    let told = app
        .rows("select outcome from member_churn_history where scored_on = '2025-05-17'")
        .await;
    assert_eq!(told, json!([{ "outcome": true }]));
}

#[tokio::test]
async fn the_day_of_a_prediction_is_the_day_of_its_gym() {
    let app = App::new().await;
    // Eleven hours ahead of London, and four behind it.
    for timezone in ["Pacific/Noumea", "America/Martinique"] {
        let gym = app.gym_in(timezone).await;
        let [member] = app.members(gym, 300).await;
        predicted(&app, member, 30, 0.5).await;
    }

    // In Noumea it is the sixteenth already, in Martinique still the fifteenth.
    let first = app.analyse("2025-06-15T22:00:00Z").await;
    let second = app.analyse("2025-06-16T05:00:00Z").await;

    assert_eq!(first.results()["outcomes_filled"], 1);
    assert_eq!(second.results()["outcomes_filled"], 1);
}

#[tokio::test]
async fn the_predictions_are_measured_by_gym_and_over_all() {
    let app = App::new().await;
    let (one, other) = (
        app.gym_in("Europe/Paris").await,
        app.gym_in("Europe/Paris").await,
    );
    let [lost, back, tied] = app.members(one, 300).await;
    let [tie, gone] = app.members(other, 300).await;
    // Scores, and whether they came; two of them tie.
    for (member, score, has_come) in [
        (lost, 0.9, false),
        (back, 0.3, true),
        (tied, 0.6, true),
        (tie, 0.6, false),
        (gone, 0.7, false),
    ] {
        predicted(&app, member, 30, score).await;
        app.came(member, if has_come { vec![10] } else { vec![] })
            .await;
    }

    let reply = app.analyse(TONIGHT).await;

    let results = reply.results();
    // Of six pairs five are in order, and one is a tie.
    assert_eq!(results["live_auc"], 0.9167);
    let brier = (0.01 + 0.09 + 0.36 + 0.16 + 0.09) / 5.0;
    assert!((results["live_brier"].as_f64().unwrap() - brier).abs() < 1e-4);
    let aucs: Vec<&Value> = results["gyms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["auc"])
        .collect();
    assert_eq!(aucs, [&json!(1.0), &Value::Null]);
    let path = "/api/jobs/metrics";
    let secret = format!("Bearer {}", crate::app::OPERATOR_SECRET);
    let metrics = app
        .call(
            axum::http::Method::GET,
            path,
            &[("authorization", secret)],
            "",
        )
        .await;
    assert_eq!(metrics.body["jobs"][CHURN]["gauges"]["live_auc"], 0.9167);
    assert_eq!(
        app.rows("select predictions, base_rate from churn_accuracy order by predictions")
            .await,
        json!([{ "predictions": 2, "base_rate": 1 },
               { "predictions": 3, "base_rate": 1.0 / 3.0 }])
    );
}

#[tokio::test]
async fn a_prediction_about_a_member_who_is_gone_is_deleted() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [member] = app.members(gym, 300).await;
    predicted(&app, member, 30, 0.5).await;
    app.execute("delete from members").await;

    app.analyse(TONIGHT).await;

    assert_eq!(
        app.count("select count(*) from member_churn_history").await,
        0
    );
}
