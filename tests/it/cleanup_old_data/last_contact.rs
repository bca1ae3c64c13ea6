//! When a member was last in contact, and what follows from it.

use rstest::rstest;
use serde_json::json;

use super::{GYM, JOB, a_gym, counts, rows_of};
use crate::app::App;

const GONE: &str = "00000000-0000-0000-0000-0000000000dd";

/// A member who has left, of whom nothing else is known but that they joined
/// long ago.
async fn gone(app: &App, status: &str) {
    app.execute(&format!(
        "insert into members (id, gym_id, first_name, status, joined_on, created_at)
         values ('{GONE}', '{GYM}', 'Ada', '{status}', now() - interval '9 years',
                 now() - interval '9 years')"
    ))
    .await;
}

async fn is_anonymised(app: &App) -> bool {
    app.count(&format!(
        "select count(*) from members where id = '{GONE}' and status = 'anonymised'"
    ))
    .await
        == 1
}

/// A sign of life at a moment, an expression.
fn sign_of_life(source: &str, at: &str) -> String {
    match source {
        "visit" => format!(
            "insert into visits (gym_id, member_id, checked_in_at) values ('{GYM}', '{GONE}', {at})"
        ),
        "conversation" => format!(
            "insert into conversation_sessions (gym_id, member_id, started_at)
             values ('{GYM}', '{GONE}', {at})"
        ),
        column => format!("update members set {column} = {at} where id = '{GONE}'"),
    }
}

#[rstest]
#[tokio::test]
async fn the_latest_sign_of_life_counts_wherever_it_is(
    #[values(
        "visit",
        "conversation",
        "last_contact_at",
        "cancelled_at",
        "membership_ends_on"
    )]
    source: &str,
) {
    let app = a_gym().await;
    gone(&app, "expired").await;
    for other in [
        "visit",
        "conversation",
        "last_contact_at",
        "cancelled_at",
        "membership_ends_on",
    ] {
        app.execute(&sign_of_life(other, "now() - interval '4 years'"))
            .await;
    }
    app.execute(&sign_of_life(source, "now() - interval '1094 days'"))
        .await;
    app.deliver(JOB).await;
    assert!(!is_anonymised(&app).await, "anonymised too early");

    for table in [
        "visits set checked_in_at",
        "conversation_sessions set started_at",
    ] {
        app.execute(&format!(
            "update {table} = now() - interval '4 years' where member_id = '{GONE}'"
        ))
        .await;
    }
    for column in ["last_contact_at", "cancelled_at", "membership_ends_on"] {
        app.execute(&sign_of_life(column, "now() - interval '1097 days'"))
            .await;
    }
    app.deliver(JOB).await;
    assert!(is_anonymised(&app).await, "not anonymised at all");
}

#[rstest]
#[case::who_joined_lately("joined_on = now() - interval '1094 days'", false)]
#[case::who_was_written_down_lately("created_at = now() - interval '1094 days'", false)]
#[case::who_joined_long_ago("joined_on = joined_on", true)]
// Brought over from elsewhere: the day of that says nothing.
#[case::who_visited_long_ago(
    "joined_on = now(), created_at = now(), last_contact_at = now() - interval '4 years'",
    true
)]
#[tokio::test]
async fn joining_is_the_last_resort_for_a_member(#[case] set: &str, #[case] expected: bool) {
    let app = a_gym().await;
    gone(&app, "cancelled").await;
    app.execute(&format!("update members set {set} where id = '{GONE}'"))
        .await;

    app.deliver(JOB).await;

    assert_eq!(is_anonymised(&app).await, expected);
}

#[rstest]
#[tokio::test]
async fn a_member_who_has_not_left_is_never_touched(
    #[values("active", "frozen", "anonymised")] status: &str,
) {
    let app = a_gym().await;
    gone(&app, "cancelled").await;
    app.execute(&format!(
        "update members set first_name = null, status = '{status}', last_contact_at = '2000-01-01',
                membership_ends_on = '2000-01-01'
          where id = '{GONE}'"
    ))
    .await;
    let before = app.rows("select * from members order by id").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([0, 0, 0]));
    assert_eq!(app.rows("select * from members order by id").await, before);
}

#[tokio::test]
async fn visits_that_are_deleted_make_nobody_look_longer_gone() {
    let app = a_gym().await;
    gone(&app, "cancelled").await;
    app.execute("update retention_policies set keep_days = 30 where target = 'visits'")
        .await;
    for days in [300, 200, 100] {
        let at = format!("now() - interval '{days} days'");
        app.execute(&sign_of_life("visit", &at)).await;
    }

    let reply = app.operate(JOB, "batch_size=1").await;

    assert_eq!(counts(&reply, "visits"), json!([3, 0, 0]));
    assert_eq!(counts(&reply, "members"), json!([0, 0, 0]));
    let days = "select round(extract(epoch from now() - last_contact_at) / 86400) from members";
    assert_eq!(app.count(&format!("{days} where id = '{GONE}'")).await, 100);
    app.deliver(JOB).await;
    assert!(!is_anonymised(&app).await);
}

#[tokio::test]
async fn a_visit_that_is_not_the_last_leaves_its_member_alone() {
    let app = a_gym().await;
    app.execute(&rows_of("visits", "(now() - interval '5 years')", 3))
        .await;
    app.execute(&rows_of("visits", "(now() - interval '5 days')", 1))
        .await;
    let before = app.rows("select * from members").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "visits"), json!([3, 0, 0]));
    assert_eq!(app.rows("select * from members").await, before);
}

#[tokio::test]
async fn a_later_contact_is_not_set_back_by_an_earlier_visit() {
    let app = a_gym().await;
    app.execute(&rows_of("visits", "(now() - interval '5 years')", 3))
        .await;
    app.execute("update members set last_contact_at = now() - interval '4 years'")
        .await;
    let before = app.rows("select * from members").await;

    app.deliver(JOB).await;

    assert_eq!(app.count("select count(*) from visits").await, 0);
    assert_eq!(app.rows("select * from members").await, before);
}

#[tokio::test]
async fn a_visit_at_no_moment_makes_nobody_look_long_gone() {
    let app = a_gym().await;
    gone(&app, "expired").await;
    app.execute(&format!(
        "update members set created_at = now() - interval '1 day', joined_on = now()
          where id = '{GONE}'"
    ))
    .await;
    app.execute(&sign_of_life("visit", "'-infinity'")).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "visits"), json!([1, 0, 0]));
    assert!(!is_anonymised(&app).await);
}
