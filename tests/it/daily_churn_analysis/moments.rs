//! The day of a score: local dates, clock changes, replays, force.

use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
// The night of the spring change, in which two o'clock does not exist, and
// that of autumn, in which it comes twice.
#[case::spring("Europe/Paris", "2025-03-30T01:00:00Z", "2025-03-30")]
#[case::autumn("Europe/Paris", "2025-10-26T00:30:00Z", "2025-10-26")]
#[case::autumn_again("Europe/Paris", "2025-10-26T01:30:00Z", "2025-10-26")]
#[case::behind("America/Martinique", "2025-06-16T00:00:00Z", "2025-06-15")]
#[case::ahead("Pacific/Noumea", "2025-06-15T13:00:00Z", "2025-06-16")]
#[tokio::test]
async fn the_day_of_a_score_is_the_date_of_the_gym(
    #[case] timezone: &str,
    #[case] moment: &str,
    #[case] day: &str,
) {
    let app = App::new().await;
    let gym = app.gym_in(timezone).await;
    let [_a] = app.members::<1>(gym, 300).await;

    app.analyse(moment).await;

    assert_eq!(
        app.rows("select scored_on from member_churn_history").await,
        json!([{ "scored_on": day }])
    );
}

#[tokio::test]
async fn days_of_absence_are_those_of_the_calendar() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [member] = app.members(gym, 300).await;
    // Half an hour before midnight, and a scoring half an hour after it.
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         values ('{gym}', '{member}', '2025-03-01T12:00:00Z'),
                ('{gym}', '{member}', '2025-03-29T22:30:00Z')"
    ))
    .await;

    app.analyse("2025-03-29T23:30:00Z").await;

    let factors = app
        .rows(
            "select (f -> 'value')::float8 as days
               from member_churn, jsonb_array_elements(factors) f
              where f ->> 'code' = 'absence'",
        )
        .await;
    assert_eq!(factors, json!([{ "days": 1 }]));
}

#[tokio::test]
async fn what_came_later_is_not_seen() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [member] = app.members(gym, 300).await;
    app.came(member, every(50, 2)).await;
    app.analyse(TONIGHT).await;
    let without = app.score(member).await;
    app.came(member, vec![0, -2, -4]).await;
    app.execute(&format!(
        "insert into conversation_sessions (gym_id, member_id, sentiment, started_at)
         values ('{gym}', '{member}', 'negative', timestamptz '{TONIGHT}' + interval '1 hour')"
    ))
    .await;

    app.analyse_with(TONIGHT, "&force=true").await;

    assert_eq!(app.score(member).await.to_bits(), without.to_bits());
}

#[tokio::test]
async fn a_replay_of_a_missed_night_fills_the_history_and_nothing_newer() {
    let app = App::new().await;
    let [_, gone, ..] = app.members_of_every_sort().await;
    app.analyse(TONIGHT).await;
    app.execute(&format!(
        "update members set frozen_until = '2025-06-12' where id = '{gone}'"
    ))
    .await;
    let current = app.rows("select * from member_churn order by 1").await;
    let alerts = app.rows("select * from alerts order by 1").await;

    let replay = app.analyse("2025-06-10T02:00:00Z").await;

    // One was frozen then and one had not joined; both keep what is newer.
    assert_eq!(replay.results()["processed"], 2);
    assert_eq!(
        app.rows("select * from member_churn order by 1").await,
        current
    );
    assert_eq!(app.rows("select * from alerts order by 1").await, alerts);
    assert_eq!(
        app.count("select count(*) from member_churn_history where scored_on = '2025-06-10'")
            .await,
        2
    );
}

#[tokio::test]
async fn force_scores_again_and_keeps_one_row_a_day() {
    let app = App::new().await;
    let [regular, ..] = app.members_of_every_sort().await;
    app.analyse(TONIGHT).await;
    let before = app.score(regular).await;
    app.execute(&format!(
        "delete from visits where member_id = '{regular}' and checked_in_at > '2025-05-20'"
    ))
    .await;

    let again = app
        .analyse_with("2025-06-16T10:00:00Z", "&force=true")
        .await;

    assert_eq!(again.results()["processed"], 4);
    assert!(app.score(regular).await > before);
    let rows = app
        .rows(&format!(
            "select h.score = c.score as same
               from member_churn_history h
               join member_churn c using (member_id)
              where member_id = '{regular}'"
        ))
        .await;
    assert_eq!(rows, json!([{ "same": true }]));
}
