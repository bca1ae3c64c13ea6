//! Legal holds that are placed after a batch has looked at its rows, and before it erases them.

use rstest::rstest;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::families::{ROWS, family, whole};
use super::holds::{C, MEMBER, hold};
use super::{JOB, counts};
use crate::app::App;
use crate::processes::until;

/// The first try of a batch gives up a lock after 100 ms, and looks again.
const NOT_THE_FIRST_TRY: &str = "select count(*) from pg_locks
     where database = (select oid from pg_database where datname = current_database())
       and not granted
       and waitstart < clock_timestamp() - interval '150 milliseconds'";

#[rstest]
#[case::conversation_events("conversation_events", 2)]
#[case::conversation_sessions("conversation_sessions", 2)]
#[case::kiosk_heartbeats("kiosk_heartbeats", 2)]
#[case::alerts("alerts", 2)]
#[case::visits("visits", 2)]
#[case::member_churn_history("member_churn_history", 2)]
#[case::members("members", 2)]
#[case::system_logs("system_logs", 6)]
#[tokio::test]
async fn a_hold_placed_before_the_batch_erases_spares_the_row(
    #[case] target: &str,
    #[case] rows: i64,
) {
    let app = App::new().await;
    app.execute(&format!("{}{}", family(0, ROWS), family(1, ROWS)))
        .await;
    app.execute(&format!(
        "update retention_policies set enabled = (target = '{target}')"
    ))
    .await;
    // Another hold, so that the batch asks for holds at all.
    hold(&app, "member", &family(9, MEMBER), "null").await;
    // Reading passes this lock; erasing, and locking members, waits for it.
    let mut desk = app.db.begin().await.unwrap();
    let lock = format!("lock table {target} in exclusive mode");
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *desk)
        .await
        .unwrap();

    let placed = async {
        until("the batch is about to erase", async || {
            app.count(NOT_THE_FIRST_TRY).await > 0
        })
        .await;
        let (subject, id) = match target {
            "kiosk_heartbeats" => ("gym", C),
            _ => ("member", MEMBER),
        };
        hold(&app, subject, id, "null").await;
        desk.rollback().await.unwrap();
    };
    let (reply, ()) = tokio::join!(app.deliver(JOB), placed);

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, target), json!([rows - 1, 1, 0]));
    assert!(whole(&app, 0).await.contains(&target));
    assert!(!whole(&app, 1).await.contains(&target));
    let again = app.deliver(JOB).await;
    assert_eq!(counts(&again, target), json!([0, 0, 1]));
}
