//! Alerts: opened on entering the risk, resolved on leaving it.

use serde_json::json;
use uuid::Uuid;

use super::seed::every;
use super::*;

const ALERTS: &str =
    "select severity, status, occurrences, resolved_by from alerts order by opened_at, status";

/// A member who was here every other day, until fifty days ago.
async fn gone(app: &App) -> Uuid {
    let gym = app.gym_in("Europe/Paris").await;
    app.scored_before(gym).await;
    let [member] = app.members(gym, 300).await;
    app.came(member, every(50, 2)).await;
    member
}

#[tokio::test]
async fn an_alert_says_why_and_what_to_do_but_not_who() {
    let app = App::new().await;
    let member = gone(&app).await;

    let reply = app.analyse(TONIGHT).await;

    assert_eq!(reply.results()["alerts_opened"], 1);
    let alert = app
        .rows(
            "select kind, severity, title, details, recommended_actions, dedup_key, opened_at,
                    member_id, gym_id = (select id from gyms) as has_gym
               from alerts",
        )
        .await[0]
        .clone();
    assert_eq!(alert["dedup_key"], format!("churn_risk:{member}"));
    assert_eq!(alert["member_id"], member.to_string());
    assert_eq!(
        (&alert["has_gym"], &alert["severity"]),
        (&json!(true), &json!("critical"))
    );
    assert_eq!(
        alert["details"]["factors"][0]["text"],
        "no visit for 50 days, usually every 2"
    );
    assert_ne!(alert["recommended_actions"], json!([]));
    let text = alert.to_string();
    assert!(
        !text.contains("Zebulon") && !text.contains("Quartz"),
        "{text}"
    );
}

#[tokio::test]
async fn an_alert_is_bumped_once_a_day_and_resolved_when_the_member_comes_back() {
    let app = App::new().await;
    let member = gone(&app).await;
    app.analyse(TONIGHT).await;
    app.analyse("2025-06-17T02:00:00Z").await;
    app.analyse_with("2025-06-17T09:00:00Z", "&force=true")
        .await;
    assert_eq!(
        app.rows(ALERTS).await,
        json!([{ "severity": "critical", "status": "open", "occurrences": 2, "resolved_by": null }])
    );

    app.came(member, vec![-1]).await;
    let back = app.analyse("2025-06-18T02:00:00Z").await;

    assert_eq!(back.results()["alerts_resolved"], 1);
    assert_eq!(
        app.rows(ALERTS).await,
        json!([{ "severity": "critical", "status": "resolved", "occurrences": 2,
                 "resolved_by": "system" }])
    );
    let gone_again = app.analyse("2025-09-18T02:00:00Z").await;
    assert_eq!(gone_again.results()["alerts_opened"], 1);
}

#[tokio::test]
async fn the_severity_follows_the_level() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    app.scored_before(gym).await;
    let [member] = app.members(gym, 300).await;
    app.came(member, every(22, 2)).await;

    app.analyse(TONIGHT).await;
    assert_eq!(app.level(member).await, "high");
    assert_eq!(app.rows(ALERTS).await[0]["severity"], "high");
    app.execute("update alerts set status = 'acknowledged'")
        .await;
    let later = app.analyse("2025-07-16T02:00:00Z").await;

    assert_eq!(later.results()["alerts_opened"], 0);
    assert_eq!(
        app.rows(ALERTS).await,
        json!([{ "severity": "critical", "status": "acknowledged", "occurrences": 2,
                 "resolved_by": null }])
    );
}

#[tokio::test]
async fn a_dismissed_alert_stays_dismissed_while_the_risk_lasts() {
    let app = App::new().await;
    gone(&app).await;
    app.analyse(TONIGHT).await;
    app.execute("update alerts set status = 'dismissed'").await;

    let next = app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(next.results()["alerts_opened"], 0);
    assert_eq!(next.results()["critical_risk"], 1);
    assert_eq!(
        app.rows(ALERTS).await,
        json!([{ "severity": "critical", "status": "dismissed", "occurrences": 1,
                 "resolved_by": null }])
    );
}

#[tokio::test]
async fn a_score_just_below_its_cut_keeps_its_alert() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let members: [Uuid; 20] = app.members(gym, 300).await;
    for (member, away) in members.into_iter().zip(12..) {
        app.came(member, every(away, 2)).await;
    }
    app.analyse(TONIGHT).await;
    let just_below = "score between 0.45 and 0.4999";
    let near = app
        .count(&format!(
            "select count(*) from member_churn where {just_below} and level = 'medium'"
        ))
        .await;
    assert_ne!(near, 0);

    // As if they had been at high risk the night before.
    app.execute(&format!(
        "update member_churn set scored_on = scored_on - 1;
         delete from member_churn_history;
         delete from alerts;
         update member_churn set level = 'high' where {just_below};
         insert into alerts (gym_id, member_id, kind, dedup_key, title, opened_at, last_seen_at)
         select gym_id, member_id, 'churn_risk', 'churn_risk:' || member_id, '', at, at
           from member_churn, (select timestamptz '{TONIGHT}' - interval '1 day' as at) yesterday
          where {just_below}"
    ))
    .await;
    let again = app.analyse(TONIGHT).await;

    let held = format!("select count(*) from member_churn where {just_below} and level = 'high'");
    assert_eq!(app.count(&held).await, near);
    assert_eq!(again.results()["alerts_resolved"], 0);
}

#[tokio::test]
async fn an_alert_without_a_member_at_risk_is_resolved() {
    let app = App::new().await;
    let member = gone(&app).await;
    app.analyse(TONIGHT).await;
    app.execute("delete from member_churn; update members set churn_opt_out = true")
        .await;

    let next = app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(next.results()["alerts_resolved"], 1, "{member}");
}
