//! The public CDNOW transactions, used as visits.
//!
//! `CDNOW_TRANSACTIONS` names the file `CDNOW_master.txt` of the Python
//! package lifetimes; it has no licence of its own and is therefore not here.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::fit::churn_fit;
use super::*;

/// The days between first and last of the transactions: 1997-01-01 to
/// 1998-06-30; three months are left to see who comes.
const CUT: &str = "1998-04-01T00:00:00Z";

/// A gym of the customers; `None` when there is no file.
async fn customers(app: &App) -> Option<Uuid> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests may be given the path of the data"
    )]
    let Ok(path) = std::env::var("CDNOW_TRANSACTIONS") else {
        eprintln!("NOT CHECKED: the CDNOW transactions; set CDNOW_TRANSACTIONS to their file");
        return None;
    };
    let gym = app.gym_in("UTC").await;
    let text = std::fs::read_to_string(path).unwrap();
    let mut ids: HashMap<&str, Uuid> = HashMap::new();
    let (mut members, mut days) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let (Some(customer), Some(day)) = (fields.next(), fields.next()) else {
            continue;
        };
        if let Ok(day) = chrono::NaiveDate::parse_from_str(day, "%Y%m%d") {
            members.push(*ids.entry(customer).or_insert_with(Uuid::new_v4));
            days.push(day);
        }
    }
    sqlx::query(
        "with bought as (
             select * from unnest($1::uuid[], $2::date[]) as bought (member_id, day)
         ), made as (
             insert into members (id, gym_id, joined_on)
             select member_id, $3, min(day) from bought group by member_id
             returning id
         )
         insert into visits (gym_id, member_id, checked_in_at)
         select $3, member_id, (day + time '12:00') at time zone 'UTC' from bought",
    )
    .bind(members)
    .bind(days)
    .bind(gym)
    .execute(&app.db)
    .await
    .unwrap();
    app.execute("vacuum analyze visits").await;
    Some(gym)
}

/// AUC of the scores over those who came at least twice, and in the last
/// ninety days, against who did not come in the next `days`; and mean score
/// and base rate.
async fn judged(app: &App, days: i32) -> Value {
    app.rows(&format!(
        "with population as (
             select h.score::float8 as score,
                    (not exists (select from visits v
                                  where v.member_id = h.member_id
                                    and v.checked_in_at > '{CUT}'
                                    and v.checked_in_at
                                        < timestamptz '{CUT}' + interval '{days} days'))::int
                        as absent
               from member_churn_history h
               cross join lateral (
                   select count(distinct checked_in_at), max(checked_in_at)
                     from visits v
                    where v.member_id = h.member_id and v.checked_in_at < '{CUT}') seen
              where h.scored_on = date '1998-04-01'
                and seen.count >= 2
                and seen.max > timestamptz '{CUT}' - interval '90 days'
         ), ranked as (
             select *, rank() over (order by score)
                       + (count(*) over (partition by score) - 1) / 2.0 as place
               from population
         )
         select count(*) as members, avg(score) as mean, avg(absent) as base,
                avg((score - absent) ^ 2) as brier,
                (sum(place * absent) - sum(absent) * (sum(absent) + 1) / 2)
                    / (sum(absent) * sum(1 - absent)) as auc
           from ranked"
    ))
    .await[0]
        .clone()
}

#[tokio::test]
async fn the_default_ranks_customers_as_well_as_fitted_models_do() {
    let app = App::new().await;
    if customers(&app).await.is_none() {
        return;
    }
    app.analyse(CUT).await;
    for days in [30, 60] {
        let judged = judged(&app, days).await;
        eprintln!("CDNOW, default, {days} days: {judged}");
        assert!(judged["members"].as_i64().unwrap() > 3_500, "{judged}");
        assert!(
            judged["auc"].as_f64().unwrap() >= 0.71,
            "{days} days: {judged}"
        );
    }
    let later = app.analyse("1998-05-01T00:00:00Z").await;
    let auc = later.results()["live_auc"].as_f64().unwrap();
    eprintln!("CDNOW, live over all customers: {auc}");
    assert!(auc >= 0.78, "{auc}");
}

#[tokio::test]
async fn a_fit_to_customers_has_the_mean_of_what_happens() {
    let app = App::new().await;
    let Some(gym) = customers(&app).await else {
        return;
    };
    let gym = gym.to_string();
    let done = churn_fit(&app, &["--gym", &gym, "--as-of", CUT, "--json"]).await;
    let fitted = &done.json()[0];
    eprintln!("CDNOW, fitted: {fitted}");
    let test = &fitted["test"];
    let mean = test["fitted"]["mean_score"].as_f64().unwrap();
    assert!(
        (mean - test["base_rate"].as_f64().unwrap()).abs() < 0.08,
        "{fitted}"
    );
    app.analyse(CUT).await;
    for days in [30, 60] {
        let judged = judged(&app, days).await;
        eprintln!("CDNOW, after the fit, {days} days: {judged}");
        assert!(judged["auc"].as_f64().unwrap() >= 0.7, "{judged}");
    }
}
