//! Readers of one gym that fall silent are one alert, and no absence of a member.

use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

/// A gym of so many members who come every three days, and last came so many
/// days before [`TODAY`] or up to two more.
async fn silent_gym(app: &App, members: i32, last_ago: i32) -> Uuid {
    let gym = app.gym_in("Europe/Paris").await;
    app.execute(&format!(
        "with made as (
             insert into members (gym_id, joined_on)
             select '{gym}', date '{TODAY}' - 300 from generate_series(1, {members})
             returning id
         )
         insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id,
                (date '{TODAY}' - {last_ago} - nth % 3 - n * 3 + time '18:00')
                    at time zone 'Europe/Paris'
           from (select id, (row_number() over ())::int as nth from made) m, generate_series(0, 50) n"
    ))
    .await;
    gym
}

async fn alerts(app: &App) -> Value {
    app.rows("select kind, status, count(*) from alerts group by 1, 2 order by 1, 2")
        .await
}

#[tokio::test]
async fn a_gym_whose_readers_are_silent_is_one_alert_and_no_member_is_at_risk() {
    let app = App::new().await;
    let gym = silent_gym(&app, 100, 17).await;

    let reply = app.analyse(TONIGHT).await;

    assert_eq!(reply.results()["alerts_opened"], 1, "{reply:?}");
    assert_eq!(reply.results()["high_risk"], 0);
    assert_eq!(reply.results()["critical_risk"], 0);
    assert_eq!(
        app.rows("select kind, severity, status, gym_id, details from alerts")
            .await,
        json!([{ "kind": "visits_silent", "severity": "high", "status": "open", "gym_id": gym,
                 "details": { "silent_since": "2025-05-31", "days": 16, "usual_per_day": 33.0 } }])
    );
    app.analyse("2025-06-17T02:00:00Z").await;
    assert_eq!(
        alerts(&app).await,
        json!([{ "kind": "visits_silent", "status": "open", "count": 1 }])
    );
}

#[tokio::test]
async fn levels_stand_still_and_the_alert_is_resolved_when_visits_come_again() {
    let app = App::new().await;
    let gym = silent_gym(&app, 30, 1).await;
    app.scored_before(gym).await;
    let [gone] = app.members(gym, 300).await;
    app.came(gone, every(20, 2)).await;
    app.analyse(TONIGHT).await;
    let levels = "select level, count(*) from member_churn group by 1 order by 1";
    let before = app.rows(levels).await;
    assert_eq!(
        before,
        json!([{ "level": "high", "count": 1 }, { "level": "low", "count": 30 }])
    );

    for day in 20..30 {
        let night = format!("2025-06-{day}T02:00:00Z");
        app.analyse(&night).await;
        assert_eq!(app.rows(levels).await, before, "{night}");
    }
    assert_eq!(
        alerts(&app).await,
        json!([{ "kind": "churn_risk", "status": "open", "count": 1 },
               { "kind": "visits_silent", "status": "open", "count": 1 }])
    );

    // Half of them come, and the night after says who stays away by what is known.
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, '2025-06-29T16:00:00Z' from members
          where id <> '{gone}' order by id limit 15"
    ))
    .await;
    let reply = app.analyse("2025-06-30T02:00:00Z").await;

    assert_eq!(reply.results()["alerts_resolved"], 1);
    assert_eq!(app.rows(levels).await, before);
    assert_eq!(
        app.rows("select began_on, ended_on from visit_silences")
            .await,
        json!([{ "began_on": "2025-06-16", "ended_on": "2025-06-29" }])
    );
    assert_eq!(
        app.count("select count(*) from member_churn_history where scored_on = '2025-06-25'")
            .await,
        31
    );
}

/// A reader is dead, and each day one visit is entered by hand.
#[tokio::test]
async fn one_visit_a_day_by_another_way_hides_no_dead_reader() {
    let app = App::new().await;
    let gym = silent_gym(&app, 100, 17).await;
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at, source)
         select '{gym}', (select min(id::text)::uuid from members),
                timestamptz '2025-06-18T10:00:00Z' - n * interval '1 day', 'manual'
           from generate_series(0, 18) n"
    ))
    .await;

    for night in ["2025-06-16", "2025-06-17", "2025-06-18"] {
        let reply = app.analyse(&format!("{night}T02:00:00Z")).await;
        assert_eq!(reply.results()["critical_risk"], 0, "{night}");
        assert_eq!(reply.results()["high_risk"], 0, "{night}");
    }

    assert_eq!(
        alerts(&app).await,
        json!([{ "kind": "visits_silent", "status": "open", "count": 1 }])
    );
    assert_eq!(
        app.rows("select began_on, ended_on from visit_silences")
            .await,
        json!([{ "began_on": "2025-05-31", "ended_on": null }])
    );
    // Eleven of the usual thirty-three are more than hardly any.
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id, '2025-06-18T16:00:00Z' from members order by id limit 11"
    ))
    .await;
    let reply = app.analyse("2025-06-19T02:00:00Z").await;
    assert_eq!(reply.results()["alerts_resolved"], 1);
}

/// Whether or not a night noted the first: in the four weeks
/// before the second, visits came on four days.
#[rstest]
#[tokio::test]
async fn a_silence_is_told_too_when_a_long_one_was_before_it(
    #[values(true, false)] is_known: bool,
) {
    let app = App::new().await;
    let gym = silent_gym(&app, 30, 60).await;
    if is_known {
        app.analyse("2025-05-20T02:00:00Z").await;
    }
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id, timestamptz '2025-05-27T16:00:00Z' + n * interval '1 day'
           from members, generate_series(0, 3) n"
    ))
    .await;

    app.analyse(TONIGHT).await;

    assert_eq!(
        app.rows("select began_on, ended_on from visit_silences order by 1")
            .await,
        json!([{ "began_on": "2025-04-18", "ended_on": "2025-05-27" },
               { "began_on": "2025-05-31", "ended_on": null }])
    );
    assert_eq!(
        app.rows("select details ->> 'silent_since' as since from alerts where status = 'open'")
            .await,
        json!([{ "since": "2025-05-31" }])
    );
}

/// Too short, too few visits, too few members; and each of them just enough.
#[rstest]
#[case::too_short(30, 3, 0)]
#[case::long_enough(30, 4, 1)]
#[case::few_members(9, 30, 0)]
#[case::members_enough(10, 30, 1)]
#[case::few_visits(12, 5, 0)]
#[tokio::test]
async fn what_is_not_much_is_no_silence(
    #[case] members: i32,
    #[case] last_ago: i32,
    #[case] silences: i64,
) {
    let app = App::new().await;
    silent_gym(&app, members, last_ago).await;

    app.analyse(TONIGHT).await;

    let count = "select count(*) from alerts where kind = 'visits_silent'";
    assert_eq!(app.count(count).await, silences);
}

#[tokio::test]
async fn days_of_the_week_on_which_a_gym_is_closed_are_not_silent() {
    let app = App::new().await;
    silent_gym(&app, 60, 1).await;
    // Open on Mondays and Tuesdays; the night of Monday has five days behind it.
    app.execute("delete from visits where extract(isodow from checked_in_at) > 2")
        .await;

    app.analyse(TONIGHT).await;

    assert_eq!(app.count("select count(*) from visit_silences").await, 0);
}

#[tokio::test]
async fn visits_that_come_late_end_a_silence_where_they_were() {
    let app = App::new().await;
    let gym = silent_gym(&app, 30, 17).await;
    app.analyse(TONIGHT).await;
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id, timestamptz '2025-05-31T12:00:00Z' + n * interval '1 day'
           from members, generate_series(0, 16) n"
    ))
    .await;

    let reply = app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(reply.results()["alerts_resolved"], 1);
    assert_eq!(
        app.count("select coalesce(sum(ended_on - began_on), 0) from visit_silences")
            .await,
        0
    );
}

#[tokio::test]
async fn a_prediction_whose_days_were_silent_has_no_outcome() {
    let app = App::new().await;
    silent_gym(&app, 30, 1).await;
    app.analyse(TONIGHT).await;

    let reply = app.analyse("2025-07-16T02:00:00Z").await;

    assert_eq!(reply.results()["outcomes_filled"], 30);
    assert_eq!(reply.results()["live_auc"], Value::Null);
    let unfair = "select count(*) from member_churn_history where has_no_outcome";
    assert_eq!(app.count(unfair).await, 30);
}
