//! Before a gym is fitted, the mean score is near what its members do.

use rstest::rstest;
use uuid::Uuid;

use super::*;

/// Members who come with a chance of their own each day, in a rhythm that the
/// default does not know, and stop one day: always the same ones.
async fn gym_of(app: &App, often: f64, rarely: f64, stop: f64) -> Uuid {
    let gym = app.gym_in("Europe/Paris").await;
    app.execute(&format!(
        "create or replace function chance(key text) returns double precision immutable
         language sql as $$ select (hashtextextended(key, 7) & 1048575) / 1048576.0 $$;
         insert into members (id, gym_id, joined_on)
         select md5('member ' || n)::uuid, '{gym}', date '{TODAY}' - 500
           from generate_series(1, 1500) n;
         insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id, timestamptz '{TONIGHT}' - ago * interval '1 day' - interval '9 hours'
           from members
           cross join lateral (
               select case when chance('often' || id) < 0.5 then {often} else {rarely} end as rate,
                      case when chance('stops' || id) < {stop}
                           then 330 * chance('when' || id) - 30 else -30 end as stopped
           ) sort
           cross join generate_series(-30, 400) ago
          where gym_id = '{gym}'
            and ago >= stopped
            and chance(id::text || ago) < rate"
    ))
    .await;
    gym
}

#[rstest]
#[case::daily(0.5, 0.25, 0.1)]
#[case::monthly(0.1, 0.035, 0.4)]
#[case::seldom(0.05, 0.02, 0.1)]
#[case::leaving(0.3, 0.1, 0.8)]
#[tokio::test]
async fn the_mean_score_is_the_share_of_those_who_do_not_come(
    #[case] often: f64,
    #[case] rarely: f64,
    #[case] stop: f64,
) {
    let app = App::new().await;
    let gym = gym_of(&app, often, rarely, stop).await;
    app.execute("analyze").await;
    app.analyse(TONIGHT).await;

    app.analyse("2025-07-16T02:00:00Z").await;

    let told = app
        .rows(&format!(
            "select a.base_rate, a.mean_score, a.auc, o.log_odds
               from churn_accuracy a, churn_offsets o
              where a.gym_id = '{gym}' and o.found_on = '{TODAY}'"
        ))
        .await;
    println!("{often} {rarely} {stop}: {told}");
    let bias = told[0]["mean_score"].as_f64().unwrap() - told[0]["base_rate"].as_f64().unwrap();
    assert!(bias.abs() < 0.05, "{told}");
}
