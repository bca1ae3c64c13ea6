//! Frozen time is no absence.

use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::seed::every;
use super::*;

impl App {
    async fn change(&self, member: Uuid, change: &str) {
        self.execute(&format!(
            "update members set {change} where id = '{member}'"
        ))
        .await;
    }
}

/// How long ago the freeze ended that the member's row still names; the last
/// visit was ninety days ago.
#[rstest]
#[case::today(0, "low")]
#[case::yesterday(1, "low")]
#[case::long_ago(60, "critical")]
#[tokio::test]
async fn a_freeze_that_no_night_has_seen_began_after_the_last_visit_before_its_end(
    #[case] ended_ago: i32,
    #[case] level: &str,
) {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [member] = app.members(gym, 400).await;
    app.came(member, every(90, 3)).await;
    app.change(
        member,
        &format!("frozen_until = date '{TODAY}' - {ended_ago}"),
    )
    .await;

    app.analyse(TONIGHT).await;

    assert_eq!(app.level(member).await, level);
}

/// Of members who never came, or not before.
#[tokio::test]
async fn an_end_of_a_freeze_of_which_no_beginning_is_known_leaves_nothing_out() {
    const ENDS: [&str; 9] = [
        "2025-06-16",
        "2025-06-15",
        "2025-06-07",
        "2025-04-02",
        "1900-01-01",
        "0001-01-01",
        "4714-11-24 BC",
        "-infinity",
        "2025-05-01",
    ];
    let app = App::new().await;
    let gym = app.gym_in("Asia/Tokyo").await;
    let members = app.members::<9>(gym, 400).await;
    for (member, end) in members.iter().zip(ENDS) {
        app.change(*member, &format!("frozen_until = '{end}'"))
            .await;
    }
    let [.., back, later] = members;
    app.came(back, (2..45).step_by(3).collect()).await;
    app.came(later, (2..45).step_by(3).collect()).await;
    let [other] = app.members(app.gym_in("Europe/Paris").await, 400).await;
    app.came(other, every(2, 3)).await;

    let reply = app.analyse(TONIGHT).await;

    assert_eq!(reply.results()["processed"], 10);
    assert_eq!(reply.results()["never_visited"], 7);
    for member in [back, later, other] {
        assert_eq!(app.level(member).await, "low");
    }
}

#[tokio::test]
async fn a_freeze_that_is_entered_when_the_visits_are_gone_began_after_the_last_that_was_known() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [member] = app.members(gym, 400).await;
    app.came(member, every(65, 3)).await;
    app.analyse(TONIGHT).await;
    assert_eq!(app.level(member).await, "critical");
    app.execute("delete from visits").await;
    app.change(member, &format!("frozen_until = '{TODAY}'"))
        .await;

    app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(app.level(member).await, "low");
}

#[tokio::test]
async fn a_freeze_is_left_out_of_the_rhythm_too() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [frozen, never] = app.members(gym, 400).await;
    // Every third day, but for ninety days that were frozen.
    let mut days: Vec<i32> = (2..62).step_by(3).collect();
    days.extend((152..272).step_by(3));
    app.came(frozen, days).await;
    app.came(never, (2..182).step_by(3).collect()).await;
    app.change(frozen, &format!("frozen_until = date '{TODAY}' - 61"))
        .await;

    app.analyse(TONIGHT).await;

    let difference = app.score(frozen).await - app.score(never).await;
    assert!(difference.abs() < 0.01, "{difference}");
}

#[tokio::test]
async fn a_freeze_that_was_not_ended_ends_with_the_next_visit() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [forgotten, never] = app.members(gym, 400).await;
    for member in [forgotten, never] {
        app.came(member, (16..240).step_by(7).collect()).await;
    }
    app.execute(&format!(
        "insert into member_freezes (member_id, began_on, ended_on)
         values ('{forgotten}', date '{TODAY}' - 80, date '{TODAY}' - 17)"
    ))
    .await;

    app.analyse(TONIGHT).await;

    let difference = app.score(forgotten).await - app.score(never).await;
    assert!(difference.abs() < 0.02, "{difference}");
}

/// Frozen by status or by date, and thawed by status alone.
#[rstest]
#[case("status = 'frozen'", "status = 'active'")]
#[case::the_end_of_an_older_one(
    "status = 'frozen', frozen_until = '2025-05-01'",
    "status = 'active'"
)]
#[case("status = 'frozen', frozen_until = '-infinity'", "status = 'active'")]
#[case("status = 'frozen', frozen_until = '0001-01-01'", "status = 'active'")]
#[case("frozen_until = '2025-09-01'", "frozen_until = null")]
#[case("frozen_until = '2025-09-01'", "frozen_until = '2025-08-16'")]
#[tokio::test]
async fn nights_note_a_freeze_that_the_row_forgets(#[case] freeze: &str, #[case] thaw: &str) {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [member] = app.members(gym, 400).await;
    app.came(member, every(2, 3)).await;
    app.analyse(TONIGHT).await;
    app.change(member, freeze).await;
    app.analyse("2025-06-17T02:00:00Z").await;
    app.analyse("2025-07-17T02:00:00Z").await;
    assert_eq!(app.level(member).await, "-");

    app.change(member, thaw).await;
    app.analyse("2025-08-16T02:00:00Z").await;

    assert_eq!(app.level(member).await, "low");
    assert_eq!(
        app.rows("select began_on, ended_on from member_freezes")
            .await,
        json!([{ "began_on": "2025-06-16", "ended_on": "2025-08-16" }])
    );
    // Whose absence counts again.
    app.analyse("2025-09-20T02:00:00Z").await;
    assert_eq!(app.level(member).await, "critical");
}

#[tokio::test]
async fn a_prediction_whose_days_were_frozen_has_no_outcome() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [frozen, other] = app.members(gym, 400).await;
    app.came(frozen, every(2, 3)).await;
    app.came(other, every(2, 3)).await;
    app.analyse(TONIGHT).await;
    app.change(frozen, "frozen_until = '2025-07-01'").await;
    app.analyse("2025-06-20T02:00:00Z").await;

    let reply = app.analyse("2025-07-16T02:00:00Z").await;

    assert_eq!(reply.results()["outcomes_filled"], 2);
    assert_eq!(
        app.rows(&format!(
            "select member_id = '{frozen}' as is_frozen, outcome, has_no_outcome
               from member_churn_history where scored_on = '{TODAY}' order by 1"
        ))
        .await,
        json!([{ "is_frozen": false, "outcome": true, "has_no_outcome": false },
               { "is_frozen": true, "outcome": null, "has_no_outcome": true }])
    );
    let again = app.analyse("2025-07-17T02:00:00Z").await;
    assert_eq!(again.results()["outcomes_filled"], 0);
}

#[tokio::test]
async fn the_freezes_of_who_objects_or_is_deleted_are_deleted() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [objects, deleted, other] = app.members(gym, 400).await;
    app.execute("update members set status = 'frozen'").await;
    app.analyse(TONIGHT).await;
    assert_eq!(app.count("select count(*) from member_freezes").await, 3);

    app.change(objects, "churn_opt_out = true").await;
    app.execute(&format!("delete from members where id = '{deleted}'"))
        .await;
    app.analyse("2025-06-17T02:00:00Z").await;

    assert_eq!(
        app.rows("select member_id from member_freezes").await,
        json!([{ "member_id": other }])
    );
}
