//! daily-churn-analysis, from visits to scores, alerts and outcomes.
//!
//! Most tests replay a fixed night, so that dates mean the same whenever they
//! run.

use serde_json::{Value, json};

use crate::app::{App, Reply};

mod alerts;
mod calibration;
mod cdnow;
mod first_nights;
mod fit;
mod interrupted;
mod model;
mod moments;
mod nights;
mod outcomes;
mod pauses;
mod plans;
mod retention;
mod seed;
mod silences;
mod silent_days;
mod states;

use seed::{TODAY, every};

const CHURN: &str = "daily-churn-analysis";
/// Four o'clock in Paris, on a Monday.
const TONIGHT: &str = "2025-06-16T02:00:00Z";

impl App {
    /// Runs the job as of that moment.
    async fn analyse(&self, moment: &str) -> Reply {
        self.analyse_with(moment, "").await
    }

    async fn analyse_with(&self, moment: &str, more: &str) -> Reply {
        let reply = self.operate(CHURN, &format!("as_of={moment}{more}")).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        reply
    }
}

#[tokio::test]
async fn a_member_who_stays_away_is_scored_by_their_own_rhythm() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [thrice, gone, weekly, monthly] = app.members(gym, 400).await;
    app.came(thrice, every(2, 3)).await;
    app.came(gone, every(21, 2)).await;
    app.came(weekly, every(3, 7)).await;
    app.came(monthly, every(21, 28)).await;

    let reply = app.analyse(TONIGHT).await;

    assert_eq!(reply.results()["processed"], 4);
    assert_eq!(reply.results()["total"], 4);
    let scores = [thrice, weekly, monthly, gone];
    let scores = [
        app.score(scores[0]).await,
        app.score(scores[1]).await,
        app.score(scores[2]).await,
        app.score(scores[3]).await,
    ];
    assert!(scores.is_sorted(), "{scores:?}");
    let [thrice, weekly, monthly, gone] = scores;
    assert!(thrice < 0.06 && weekly < 0.15, "{scores:?}");
    assert!((0.35..0.6).contains(&monthly), "{scores:?}");
    assert!((0.5..0.9).contains(&gone), "{scores:?}");
}

#[tokio::test]
async fn the_factors_add_up_to_the_score_and_can_be_read() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [member] = app.members(gym, 60).await;
    app.came(member, every(12, 3)).await;
    app.execute(&format!(
        "update members set membership_ends_on = date '{TODAY}' + 9;
         insert into conversation_sessions (gym_id, member_id, sentiment, started_at)
         select gym_id, id, sentiment, timestamptz '{TONIGHT}' - interval '5 days'
           from members, unnest(array['negative', 'negative', 'positive', null]) sentiment"
    ))
    .await;

    app.analyse(TONIGHT).await;

    let row = app.rows("select score, factors from member_churn").await;
    let factors = row[0]["factors"].as_array().unwrap();
    let points: f64 = factors
        .iter()
        .map(|it| it["points"].as_f64().unwrap())
        .sum();
    let score = row[0]["score"].as_f64().unwrap();
    let log_odds = (score / (1.0 - score)).ln();
    assert!(
        (points - log_odds).abs() < 1e-4,
        "{points} is not {log_odds}"
    );
    let weights: Vec<f64> = factors
        .iter()
        .map(|it| it["points"].as_f64().unwrap())
        .collect();
    let (intercept, reasons) = weights.split_last().unwrap();
    assert!(reasons.is_sorted_by(|a, b| a >= b), "{weights:?}");
    assert!(*intercept < -3.0, "{weights:?}");
    insta::assert_snapshot!(told(factors), @"
       1.88 no visit for 12 days, usually every 3
        0.5 the contract ends in 9 days
       0.16 2 of 3 conversations were negative
     0.0947 a member for 6 months
     0.0637 6 visits in the last four weeks, 9 usually
    -0.4718 comes every 3 days
      -3.43 intercept
    ");
}

#[tokio::test]
async fn a_second_run_on_the_same_day_changes_nothing() {
    let app = App::new().await;
    app.members_of_every_sort().await;
    let first = app.analyse(TONIGHT).await;
    let mut before = app.checksums().await;

    let second = app.analyse("2025-06-16T16:00:00Z").await;

    let mut after = app.checksums().await;
    before.remove("system_logs");
    after.remove("system_logs");
    assert_eq!(before, after);
    assert_eq!(second.results()["processed"], 0);
    for gauge in [
        "total",
        "high_risk",
        "critical_risk",
        "new",
        "never_visited",
        "live_auc",
    ] {
        assert_eq!(first.results()[gauge], second.results()[gauge], "{gauge}");
    }
    assert_ne!(first.results()["critical_risk"], 0);
}

#[tokio::test]
async fn without_members_there_is_nothing_to_do() {
    let app = App::new().await;
    let reply = app.deliver(CHURN).await;
    assert_eq!(reply.outcome(), (200, "succeeded"));
    assert_eq!(
        *reply.results(),
        json!({
            "total": 0, "processed": 0, "errors": 0, "high_risk": 0, "critical_risk": 0,
            "new": 0, "never_visited": 0, "alerts_opened": 0, "alerts_resolved": 0,
            "first_night_at_risk": 0, "forgotten": 0, "forgotten_later": 0, "outcomes_filled": 0, "live_auc": null, "live_brier": null,
        })
    );
    let logged = app.rows("select log_type from system_logs").await;
    assert_eq!(logged, json!([{ "log_type": "cron_daily_churn" }]));
}

#[tokio::test]
async fn only_the_gym_that_was_asked_for_is_looked_at() {
    let app = App::new().await;
    let (one, other) = (
        app.gym_in("Europe/Paris").await,
        app.gym_in("Europe/Paris").await,
    );
    let [_a] = app.members::<1>(one, 100).await;
    let [_b, _c] = app.members::<2>(other, 100).await;

    let reply = app.analyse_with(TONIGHT, &format!("&gym_id={other}")).await;

    assert_eq!(
        (&reply.results()["total"], &reply.results()["processed"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        app.count("select count(distinct gym_id) from member_churn")
            .await,
        1
    );
}

/// The statements of the night, on a table that is large enough to matter.
#[tokio::test]
async fn visits_and_conversations_are_read_from_their_indexes_alone() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    app.execute(&format!(
        "insert into members (gym_id, joined_on) select '{gym}', '2024-01-01'
           from generate_series(1, 2000);
         insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id, timestamptz '2025-01-01' + n * interval '3 days'
           from members, generate_series(1, 20) n;
         insert into conversation_sessions (gym_id, member_id, sentiment, started_at)
         select '{gym}', id, 'neutral', timestamptz '2025-05-01' + n * interval '3 days'
           from members, generate_series(1, 10) n;"
    ))
    .await;
    for table in ["members", "visits", "conversation_sessions"] {
        app.execute(&format!("vacuum analyze {table}")).await;
    }
    let sql = include_str!("../../src/churn/facts.sql");
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain {sql}")))
        .bind(
            sqlx::query_scalar::<_, uuid::Uuid>("select id from members limit 100")
                .fetch_all(&app.db)
                .await
                .unwrap(),
        )
        .bind(vec!["Europe/Paris".to_owned(); 100])
        .bind(crate::app::now())
        .persistent(false)
        .fetch_all(&app.db)
        .await
        .unwrap();
    let plan = plan.join("\n");
    assert!(
        plan.contains("Index Only Scan using visits_of_member"),
        "{plan}"
    );
    assert!(
        plan.contains("Index Only Scan using conversation_sessions_of_member"),
        "{plan}"
    );
    assert!(!plan.contains("Seq Scan"), "{plan}");
}

/// Points and sentences.
fn told(factors: &[Value]) -> String {
    let lines = factors.iter().map(|it| {
        let sentence = it["text"].as_str().or(it["code"].as_str()).unwrap();
        format!("{:>8} {sentence}", it["points"].to_string())
    });
    lines.collect::<Vec<_>>().join("\n")
}
