//! `churn fit`, as it is typed.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::cli::{Done, run};

/// A gym whose members come at random, by a chance of their own, and stop one
/// day: two thirds come about monthly, which the default takes for a habit.
/// Always the same members: that a fit is better must not be left to luck.
async fn with_history(app: &App, members: i32) -> Uuid {
    let gym = app.gym_in("Europe/Paris").await;
    app.execute(&format!(
        "create or replace function chance(key text) returns double precision immutable
         language sql as $$ select (hashtextextended(key, 21) & 1048575) / 1048576.0 $$;
         insert into members (id, gym_id, joined_on)
         select md5('member ' || n)::uuid, '{gym}', current_date - 500
           from generate_series(1, {members}) n;
         insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id, now() - ago * interval '1 day' - interval '2 hours'
           from members
           cross join lateral (
               select case when chance('often' || id) < 0.3 then 0.3 else 0.035 end as rate,
                      case when chance('stops' || id) < 0.5
                           then 300 * chance('when' || id) else 0 end as stopped
           ) sort
           cross join generate_series(0, 400) ago
          where gym_id = '{gym}'
            and ago >= stopped
            and chance(id::text || ago) < rate"
    ))
    .await;
    gym
}

pub(super) async fn churn_fit(app: &App, arguments: &[&str]) -> Done {
    let mut all = vec!["churn", "fit"];
    all.extend(arguments);
    run(&app.settings, &all).await
}

#[tokio::test]
async fn a_gym_gets_its_own_weights_when_they_are_better() {
    let app = App::new().await;
    let gym = with_history(&app, 600).await;

    let done = churn_fit(&app, &["--gym", &gym.to_string(), "--json"]).await;

    let fitted = done.json()[0].clone();
    assert_eq!(
        (done.code, &fitted["kept"]),
        (Some(0), &json!(true)),
        "{done:?}"
    );
    let test = &fitted["test"];
    let number = |value: &Value| value.as_f64().unwrap();
    assert!(
        number(&test["fitted"]["auc"]) > number(&test["default"]["auc"]),
        "{test}"
    );
    assert!(
        number(&test["fitted"]["brier"]) < number(&test["default"]["brier"]),
        "{test}"
    );
    let bias = number(&test["fitted"]["mean_score"]) - number(&test["base_rate"]);
    assert!(bias.abs() < 0.08, "{test}");
    app.deliver(CHURN).await;
    assert_eq!(
        app.rows("select distinct model_version from member_churn")
            .await,
        json!([{ "model_version": "default-1/fit-1" }])
    );
}

#[tokio::test]
async fn a_dry_fit_stores_nothing_and_a_second_one_counts_on() {
    let app = App::new().await;
    with_history(&app, 600).await;

    let dry = churn_fit(&app, &["--dry-run"]).await;
    assert_eq!(app.count("select count(*) from churn_models").await, 0);
    churn_fit(&app, &[]).await;
    let done = churn_fit(&app, &[]).await;

    assert!(dry.out.contains("would be kept"), "{dry:?}");
    assert!(
        dry.out.contains("AUC") && dry.out.contains("Brier"),
        "{dry:?}"
    );
    assert!(done.out.contains("kept as default-1/fit-2"), "{done:?}");
}

#[tokio::test]
async fn too_little_history_is_said_with_what_it_takes() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [_a] = app.members::<1>(gym, 300).await;

    let done = churn_fit(&app, &[]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.out
            .contains("too little history: 0 rows to learn from"),
        "{done:?}"
    );
    assert!(done.out.contains("it takes 200"), "{done:?}");
    assert_eq!(app.count("select count(*) from churn_models").await, 0);
}

#[tokio::test]
async fn weights_that_are_no_better_are_not_kept() {
    let app = App::new().await;
    let gym = with_history(&app, 600).await;
    // The last month is unlike all before: those who had stopped came back, and
    // no other did.
    app.execute(&format!(
        "delete from visits where checked_in_at > now() - interval '30 days';
         insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id, now() - interval '9 days' from members m
          where not exists (select from visits v where v.member_id = m.id
                               and v.checked_in_at > now() - interval '80 days')"
    ))
    .await;

    let done = churn_fit(&app, &["--json"]).await;

    let fitted = &done.json()[0];
    assert_eq!(fitted["kept"], false, "{done:?}");
    assert!(
        fitted["why"].as_str().unwrap().starts_with("not kept"),
        "{done:?}"
    );
    assert_eq!(app.count("select count(*) from churn_models").await, 0);
}

#[tokio::test]
async fn weights_of_another_default_or_of_later_are_not_used() {
    let app = App::new().await;
    with_history(&app, 600).await;
    churn_fit(&app, &[]).await;
    app.execute("update churn_models set base = 'default-0'")
        .await;
    app.deliver(CHURN).await;
    app.execute("update churn_models set base = 'default-1'")
        .await;
    app.operate(CHURN, "as_of=2025-12-31T00:00:00Z").await;

    assert_eq!(
        app.rows("select distinct model_version from member_churn_history")
            .await,
        json!([{ "model_version": "default-1" }])
    );
}

#[tokio::test]
async fn a_fit_of_the_past_does_not_replace_a_newer_one() {
    let app = App::new().await;
    with_history(&app, 600).await;
    churn_fit(&app, &[]).await;
    let past = crate::app::now() - chrono::Duration::days(20);

    churn_fit(&app, &["--as-of", &past.to_rfc3339()]).await;

    assert_eq!(app.count("select count(*) from churn_models").await, 2);
    app.deliver(CHURN).await;
    assert_eq!(
        app.rows("select distinct model_version from member_churn")
            .await,
        json!([{ "model_version": "default-1/fit-1" }])
    );
}

#[tokio::test]
async fn a_gym_that_does_not_exist_exits_2() {
    let app = App::new().await;
    let done = churn_fit(&app, &["--gym", "atlantis"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("atlantis"), "{done:?}");
}
