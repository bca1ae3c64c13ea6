//! What the other figures count.

use serde_json::json;

use super::{JOB, MONDAY};
use crate::app::App;

#[tokio::test]
async fn members_are_counted_as_of_the_end_of_the_week() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    app.execute(&format!(
        "insert into members (gym_id, status, joined_on, cancelled_at, membership_ends_on) values
         ('{gym}', 'active', '2024-01-01', null, null),
         ('{gym}', 'frozen', '2024-01-01', null, null),
         ('{gym}', 'active', '2025-01-27', null, null),
         ('{gym}', 'active', '2025-02-02', null, null),
         ('{gym}', 'active', '2025-02-03', null, null),
         ('{gym}', 'active', '2025-01-26', null, null),
         ('{gym}', 'cancelled', '2024-01-01', '2025-01-26T23:30:00Z', '2025-06-01'),
         ('{gym}', 'cancelled', '2024-01-01', '2025-01-26T22:30:00Z', null),
         ('{gym}', 'cancelled', '2024-01-01', '2025-02-03T10:00:00Z', null),
         ('{gym}', 'expired', '2024-01-01', null, '2025-01-30'),
         ('{gym}', 'expired', '2024-01-01', null, '2025-02-02'),
         ('{gym}', 'anonymised', '2020-01-01', null, null)"
    ))
    .await;

    app.operate(JOB, MONDAY).await;

    let metrics = &app.report(gym).await["metrics"];
    assert_eq!(
        metrics["new_members"],
        json!({ "value": 2, "previous": 1, "change": 1.0 })
    );
    assert_eq!(
        metrics["lost_members"],
        json!({ "value": 2, "previous": 1, "change": 1.0 })
    );
    assert_eq!(
        metrics["net_members"],
        json!({ "value": 0, "previous": 0, "change": null })
    );
    assert_eq!(
        metrics["active_members"],
        json!({ "value": 7, "previous": 7, "change": 0.0 })
    );
}

#[tokio::test]
async fn risk_is_counted_in_full_and_the_ten_most_at_risk_are_listed_by_id() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    let mut members = Vec::new();
    for n in 0..14_u8 {
        let member = app.named_member(gym, "Ada", &format!("No {n}")).await;
        let score = 0.5 + f32::from(n) / 50.0;
        let level = if score >= 0.75 { "critical" } else { "high" };
        // Saturday's scores count where Sunday's are missing.
        app.scored(gym, member, "2025-02-01", score, level).await;
        app.scored(gym, member, "2025-01-31", 0.9, "critical").await;
        members.push(member);
    }
    let calm = app.member(gym).await;
    app.scored(gym, calm, "2025-02-01", 0.1, "low").await;
    app.scored(gym, calm, "2025-01-26", 0.8, "critical").await;

    app.operate(JOB, MONDAY).await;

    let report = app.report(gym).await;
    let metrics = &report["metrics"];
    assert_eq!(
        metrics["churn_high"],
        json!({ "value": 13, "previous": 0, "change": null })
    );
    assert_eq!(
        metrics["churn_critical"],
        json!({ "value": 1, "previous": 1, "change": 0.0 })
    );
    assert_eq!(
        metrics["churn_levels"],
        json!({ "low": 1, "medium": 0, "high": 13, "critical": 1 })
    );
    let at_risk = metrics["at_risk"].as_array().unwrap();
    assert_eq!(at_risk.len(), 10);
    assert_eq!(
        at_risk[0],
        json!({ "member_id": members[13], "score": 0.76, "level": "critical" })
    );
    assert_eq!(at_risk[9]["member_id"], json!(members[4]));
    assert!(!report.to_string().contains("Ada"), "{report}");
    let more = json!({ "code": "more_at_risk", "value": 14, "previous": 1 });
    assert!(
        report["insights"].as_array().unwrap().contains(&more),
        "{report}"
    );
}

#[tokio::test]
async fn who_has_left_is_frozen_objects_or_was_anonymised_is_not_to_be_called() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    let stays = app.member(gym).await;
    app.scored(gym, stays, "2025-02-02", 0.8, "critical").await;
    for change in [
        "status = 'cancelled', cancelled_at = '2025-02-03T00:00:00Z'",
        "status = 'frozen'",
        "frozen_until = '2025-02-20'",
        "churn_opt_out = true",
        "status = 'anonymised', first_name = null, last_name = null, anonymised_at = '2025-02-03T04:00:00Z'",
    ] {
        let member = app.member(gym).await;
        app.scored(gym, member, "2025-02-02", 0.9, "critical").await;
        app.execute(&format!(
            "update members set {change} where id = '{member}'"
        ))
        .await;
    }

    app.operate(JOB, MONDAY).await;

    let metrics = &app.report(gym).await["metrics"];
    assert_eq!(
        metrics["at_risk"],
        json!([{ "member_id": stays, "score": 0.8, "level": "critical" }])
    );
    assert_eq!(metrics["churn_critical"]["value"], 6, "as scored on Sunday");
}

#[tokio::test]
async fn conversations_are_summed_up_by_mood_and_topic() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    app.execute(&format!(
        "insert into conversation_sessions (gym_id, started_at, sentiment, sentiment_score, topics) values
         ('{gym}', '2025-01-27T10:00:00Z', 'positive', 0.9, '{{cardio,cardio,yoga}}'),
         ('{gym}', '2025-01-28T10:00:00Z', 'negative', -0.4, '{{cardio}}'),
         ('{gym}', '2025-01-29T10:00:00Z', 'mixed', 0.1, '{{a,b,c,d,e,yoga,\"\"}}'),
         ('{gym}', '2025-01-30T10:00:00Z', null, null, '{{}}'),
         ('{gym}', '2025-01-22T10:00:00Z', 'neutral', -0.1, '{{old}}')"
    ))
    .await;

    app.operate(JOB, MONDAY).await;

    let metrics = &app.report(gym).await["metrics"];
    assert_eq!(
        metrics["conversations"],
        json!({ "value": 4, "previous": 1, "change": 3.0 })
    );
    assert_eq!(
        metrics["avg_sentiment"],
        json!({ "value": 0.2, "previous": -0.1, "change": 0.3 })
    );
    assert_eq!(
        metrics["sentiment"],
        json!({ "positive": 1, "neutral": 0, "negative": 1, "mixed": 1 })
    );
    assert_eq!(
        metrics["top_topics"],
        json!([{ "topic": "cardio", "conversations": 2 }, { "topic": "yoga", "conversations": 2 },
               { "topic": "a", "conversations": 1 }, { "topic": "b", "conversations": 1 },
               { "topic": "c", "conversations": 1 }])
    );
}

/// Open for two hours a day, once past midnight; half of the slots heard.
#[tokio::test]
async fn kiosk_uptime_is_the_share_of_opening_time_in_which_kiosks_were_heard() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    app.execute(&format!(
        "update gyms set opening_hours = '{{\"mon\": [[\"10:00\", \"12:00\"]], \"fri\": [[\"23:00\", \"01:00\"]]}}';
         insert into kiosks (id, gym_id, slug, name, status, created_at) values
         ('{gym}', '{gym}', 'a', 'Desk', 'offline', '2024-01-01'),
         (gen_random_uuid(), '{gym}', 'b', 'Gone', 'retired', '2024-01-01'),
         (gen_random_uuid(), '{gym}', 'c', 'Away', 'maintenance', '2024-01-01');
         insert into kiosk_heartbeats (kiosk_id, received_at)
         select '{gym}'::uuid, timestamptz '2025-01-01T00:00:00Z'
         union all
         select '{gym}', beat from generate_series(timestamptz '2025-01-27T09:00:00Z', '2025-01-27T10:59:59Z', '30 seconds') beat
         union all
         select '{gym}', beat from generate_series(timestamptz '2025-01-20T09:00:00Z', '2025-01-20T09:59:59Z', '1 minute') beat"
    ))
    .await;

    app.operate(JOB, MONDAY).await;

    let report = app.report(gym).await;
    assert_eq!(
        report["metrics"]["kiosk_uptime"],
        json!({ "value": 0.5, "previous": 0.25, "change": 0.25 })
    );
    let low = json!({ "code": "kiosk_uptime_low", "value": 0.5 });
    assert!(
        report["insights"].as_array().unwrap().contains(&low),
        "{report}"
    );
}

#[tokio::test]
async fn last_weeks_kiosk_uptime_is_the_one_that_was_reported() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    app.busy_week(gym).await;
    app.operate(JOB, MONDAY).await;
    let reported = app.report(gym).await["metrics"]["kiosk_uptime"]["value"].clone();
    assert!(reported.as_f64().unwrap() > 0.8, "{reported}");
    app.execute(
        "delete from kiosk_heartbeats where received_at between '2025-01-28' and '2025-02-02'",
    )
    .await;

    app.operate(JOB, "as_of=2025-02-10T05:00:00Z").await;

    let next = app
        .rows("select metrics -> 'kiosk_uptime' as uptime from weekly_reports where iso_week = 6")
        .await;
    assert_eq!(next[0]["uptime"]["previous"], reported);
    // Heard until one o'clock on Monday.
    assert_eq!(next[0]["uptime"]["value"], 0.0064);
}

#[tokio::test]
async fn alerts_count_when_open_at_the_end_of_the_week() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    app.execute(&format!(
        "insert into alerts (gym_id, kind, dedup_key, title, status, opened_at, resolved_at) values
         ('{gym}', 'x', 'a', 'a', 'open', '2025-01-29', null),
         ('{gym}', 'x', 'b', 'b', 'acknowledged', '2025-01-01', null),
         ('{gym}', 'x', 'c', 'c', 'resolved', '2025-01-01', '2025-01-28'),
         ('{gym}', 'x', 'd', 'd', 'resolved', '2025-01-01', '2025-02-05'),
         ('{gym}', 'x', 'e', 'e', 'open', '2025-02-03', null)"
    ))
    .await;

    app.operate(JOB, MONDAY).await;

    let metrics = &app.report(gym).await["metrics"];
    assert_eq!(
        metrics["open_alerts"],
        json!({ "value": 3, "previous": 3, "change": 0.0 })
    );
}

#[tokio::test]
async fn a_gym_sees_nothing_of_another() {
    let app = App::new().await;
    let busy = app.gym_called("busy", "Europe/Paris").await;
    let quiet = app.gym_called("quiet", "Europe/Paris").await;
    app.busy_week(busy).await;

    app.operate(JOB, MONDAY).await;

    let report = app.report(quiet).await;
    assert_eq!(report["insights"], json!([{ "code": "empty_week" }]));
    assert_eq!(report["metrics"]["at_risk"], json!([]));
    assert_ne!(app.report(busy).await["metrics"]["visits"]["value"], 0);
}
