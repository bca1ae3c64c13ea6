//! Which members are scored, which have a level of their own, and which leave nothing behind.

use rstest::rstest;
use serde_json::json;

use super::seed::every;
use super::*;

#[tokio::test]
async fn the_new_and_those_who_never_came_have_no_score() {
    let app = App::new().await;
    let [regular, gone, new, never, frozen, out] = app.members_of_every_sort().await;

    let reply = app.analyse(TONIGHT).await;

    assert_eq!(app.level(regular).await, "low");
    assert_eq!(app.level(gone).await, "critical");
    assert_eq!(app.level(new).await, "new");
    assert_eq!(app.level(never).await, "never_visited");
    assert_eq!(app.level(frozen).await, "-");
    assert_eq!(app.level(out).await, "-");
    assert_eq!(
        app.rows("select score, factors from member_churn where level in ('new', 'never_visited')")
            .await,
        json!([{ "score": null, "factors": [] }, { "score": null, "factors": [] }])
    );
    let results = reply.results();
    assert_eq!(
        (
            &results["total"],
            &results["new"],
            &results["never_visited"]
        ),
        (&json!(4), &json!(1), &json!(1))
    );
}

#[rstest]
#[case::frozen("status = 'frozen'")]
#[case::frozen_for_a_while("frozen_until = date '2025-06-17' + 1")]
#[case::cancelled("status = 'cancelled'")]
#[case::expired("status = 'expired'")]
#[case::opted_out("churn_opt_out = true")]
#[case::anonymised(
    "status = 'anonymised', anonymised_at = '2025-06-16T12:00:00Z', \
                    first_name = null, last_name = null, email = null, badge_id = null"
)]
#[tokio::test]
async fn who_is_not_scored_any_more_leaves_no_score_and_no_open_alert(#[case] change: &str) {
    let app = App::new().await;
    let [_, gone, ..] = app.members_of_every_sort().await;
    app.analyse(TONIGHT).await;
    app.execute(&format!("update members set {change} where id = '{gone}'"))
        .await;

    let reply = app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(app.level(gone).await, "-");
    assert_eq!(reply.results()["forgotten"], 1);
    assert_eq!(reply.results()["alerts_resolved"], 1);
    assert_eq!(reply.results()["critical_risk"], 0);
    let alerts = app
        .rows("select status, resolved_by, resolved_at is not null as at from alerts")
        .await;
    assert_eq!(
        alerts,
        json!([{ "status": "resolved", "resolved_by": "system", "at": true }])
    );
    let history = format!("select count(*) from member_churn_history where member_id = '{gone}'");
    let is_kept = !change.contains("anonymised") && !change.contains("opt_out");
    assert_eq!(app.count(&history).await, i64::from(is_kept));
}

#[tokio::test]
async fn the_scores_of_a_member_whose_row_is_deleted_go_with_it() {
    let app = App::new().await;
    let [regular, gone, ..] = app.members_of_every_sort().await;
    app.analyse(TONIGHT).await;
    // With its outcome, nothing will ever look at it again.
    app.execute("update member_churn_history set outcome = true")
        .await;

    app.execute(&format!(
        "delete from alerts where member_id = '{gone}';
         delete from member_churn where member_id = '{gone}';
         delete from visits where member_id = '{gone}';
         delete from members where id = '{gone}'"
    ))
    .await;

    let left =
        |member| format!("select count(*) from member_churn_history where member_id = '{member}'");
    assert_eq!(app.count(&left(gone)).await, 0);
    assert_eq!(app.count(&left(regular)).await, 1);
}

#[tokio::test]
async fn a_legal_hold_keeps_the_history_of_who_objects() {
    let app = App::new().await;
    let [regular, gone, ..] = app.members_of_every_sort().await;
    app.analyse(TONIGHT).await;
    app.execute(&format!(
        "insert into legal_holds (subject_type, subject_id, reason) values ('member', '{gone}', 'a claim');
         update members set churn_opt_out = true where id in ('{gone}', '{regular}')"
    ))
    .await;

    app.analyse("2025-06-17T02:00:00Z").await;

    let left = "select distinct member_id from member_churn_history where score is not null";
    assert_eq!(app.rows(left).await, json!([{ "member_id": gone }]));
}

#[tokio::test]
async fn who_turns_out_to_join_later_is_new_and_loses_score_and_alert() {
    let app = App::new().await;
    let [_, gone, ..] = app.members_of_every_sort().await;
    app.analyse(TONIGHT).await;
    app.execute(&format!(
        "delete from visits where member_id = '{gone}';
         update members set joined_on = '2026-01-01' where id = '{gone}'"
    ))
    .await;

    let reply = app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(app.level(gone).await, "new");
    assert_eq!(reply.results()["alerts_resolved"], 1);
    assert_eq!(reply.results()["critical_risk"], 0);
}

#[tokio::test]
async fn who_comes_back_from_the_ice_is_scored_again() {
    let app = App::new().await;
    let [regular, gone, ..] = app.members_of_every_sort().await;
    app.execute("update members set frozen_until = '2025-06-17'")
        .await;
    let frozen = app.analyse(TONIGHT).await;
    assert_eq!(frozen.results()["processed"], 0);

    let thawed = app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(thawed.results()["processed"], 4);
    assert_eq!(thawed.results()["alerts_opened"], 0);
    assert_eq!(app.level(regular).await, "low");
    // It is only known that this member was frozen, and came before.
    assert_eq!(app.level(gone).await, "low");
}

#[tokio::test]
async fn one_visit_and_little_time_is_never_critical() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    // A gym whose members come every two months: one who came once will most
    // likely not come within thirty days.
    for member in app.members::<9>(gym, 400).await {
        app.came(member, every(3, 60)).await;
    }
    let [young] = app.members(gym, 29).await;
    let [old] = app.members(gym, 30).await;
    app.came(young, vec![28]).await;
    app.came(old, vec![28]).await;

    app.analyse(TONIGHT).await;

    assert!(app.score(young).await >= 0.75);
    assert_eq!(app.level(young).await, "high");
    assert_eq!(app.level(old).await, "critical");
}

#[tokio::test]
async fn a_badge_that_is_read_twice_is_one_visit() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [once, twice] = app.members(gym, 300).await;
    app.came(once, every(5, 4)).await;
    app.came(twice, every(5, 4)).await;
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, member_id, checked_in_at + interval '1 hour' from visits
          where member_id = '{twice}'"
    ))
    .await;

    app.analyse(TONIGHT).await;

    assert_eq!(
        app.score(once).await.to_bits(),
        app.score(twice).await.to_bits()
    );
}

#[tokio::test]
async fn two_swipes_of_one_visit_around_midnight_are_one_day() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [once, twice] = app.members(gym, 300).await;
    for member in [once, twice] {
        app.execute(&format!(
            "insert into visits (gym_id, member_id, checked_in_at)
             select '{gym}', '{member}', timestamp '2025-06-10 23:59:30' at time zone 'Europe/Paris'
                                         - n * interval '4 days'
               from generate_series(0, 40) n"
        ))
        .await;
    }
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, member_id, checked_in_at + later
           from visits, unnest(array['35 seconds', '80 seconds']::interval[]) later
          where member_id = '{twice}'"
    ))
    .await;

    app.analyse(TONIGHT).await;

    assert_eq!(
        app.score(once).await.to_bits(),
        app.score(twice).await.to_bits()
    );
}

#[tokio::test]
async fn dates_that_are_no_dates_harm_no_run() {
    let app = App::new().await;
    let gym = app.gym_in("Pacific/Noumea").await;
    let [member, other] = app.members(gym, 300).await;
    app.came(member, every(3, 3)).await;
    app.came(other, every(3, 3)).await;
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', '{member}', at::timestamptz
           from unnest(array['infinity', '-infinity', '4713-01-01 BC', '2999-01-01']) at;
         update members set joined_on = '-infinity', membership_ends_on = 'infinity',
                            frozen_until = '-infinity'
          where id = '{member}'"
    ))
    .await;

    let reply = app.analyse(TONIGHT).await;

    assert_eq!(
        (&reply.results()["processed"], &reply.results()["errors"]),
        (&json!(2), &json!(0))
    );
    let difference = app.score(member).await - app.score(other).await;
    assert!(difference.abs() < 0.02, "{difference}");
}

#[tokio::test]
async fn who_joins_later_is_not_seen_yet() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [later] = app.members(gym, -3).await;
    let [trial] = app.members(gym, -3).await;
    app.came(trial, vec![20, 22, 25]).await;

    let reply = app.analyse(TONIGHT).await;

    assert_eq!(reply.results()["processed"], 1);
    assert_eq!(app.level(later).await, "-");
    assert_ne!(app.level(trial).await, "-");
}
