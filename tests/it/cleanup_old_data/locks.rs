//! Rows and tables that another transaction holds.

use serde_json::json;
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use super::{
    GYM, JOB, MEMBER, TARGETS, a_backlog, a_gym, backlog_of, counts, in_a_gym, left, rows_of,
};
use crate::app::App;
use crate::roles;

/// Another transaction that holds what the statement touches.
async fn another_transaction(app: &App, sql: &str) -> Transaction<'static, Postgres> {
    let mut held = app.db.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut *held)
        .await
        .unwrap();
    held
}

#[tokio::test]
async fn rows_that_somebody_holds_are_passed_counted_and_erased_by_the_next_run() {
    what_is_held_is_passed(&a_backlog().await).await;
}

#[tokio::test]
async fn with_the_least_rights_rows_that_are_held_are_passed_too() {
    let (app, role) = roles::app().await;
    let app = backlog_of(app).await;
    what_is_held_is_passed(&app).await;
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

/// Counted, and erased by the next run.
async fn what_is_held_is_passed(app: &App) {
    let mut held = app.db.begin().await.unwrap();
    for (target, oldest) in [
        ("conversation_events", "occurred_at"),
        ("conversation_sessions", "ended_at"),
        ("kiosk_heartbeats", "received_at"),
        ("alerts", "resolved_at"),
        ("visits", "checked_in_at"),
        ("member_churn_history", "scored_on"),
        ("members", "cancelled_at"),
        ("system_logs", "\"timestamp\""),
        ("job_runs", "started_at"),
        ("delivery_failures", "received_at"),
        ("report_deliveries", "sent_at"),
        ("audit_events", "occurred_at"),
    ] {
        let sql = format!("select from {target} order by {oldest} limit 3 for update");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *held)
            .await
            .unwrap();
    }

    let reply = app.operate(JOB, "batch_size=4").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    for target in TARGETS {
        assert_eq!(counts(&reply, target), json!([7, 3, 0]), "{target}");
    }
    held.rollback().await.unwrap();
    let next = app.deliver(JOB).await;
    for target in TARGETS {
        assert_eq!(counts(&next, target), json!([3, 0, 0]), "{target}");
        assert_eq!(left(app, target).await, 2, "{target}");
    }
}

#[tokio::test]
async fn rows_that_were_passed_and_rows_beyond_a_limit_both_remain() {
    let app = a_backlog().await;
    let held = "select from visits order by checked_in_at limit 3 for update";
    let desk = another_transaction(&app, held).await;

    let reply = app.operate(JOB, "limit=5").await;

    assert_eq!(counts(&reply, "visits"), json!([2, 8, 0]), "{reply:?}");
    desk.rollback().await.unwrap();
}

#[tokio::test]
async fn the_last_visits_of_a_member_who_is_held_wait_for_the_next_run() {
    let app = a_gym().await;
    app.execute(&rows_of("visits", "(now() - interval '5 years')", 3))
        .await;
    app.execute(&format!(
        "insert into members (id, gym_id) values ('00000000-0000-0000-0000-0000000000ab', '{GYM}');
         insert into visits (gym_id, member_id, checked_in_at)
         values ('{GYM}', '00000000-0000-0000-0000-0000000000ab', now() - interval '4 years')"
    ))
    .await;
    let desk = another_transaction(
        &app,
        &format!("update members set first_name = 'Zoë' where id = '{MEMBER}'"),
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, "visits"), json!([1, 3, 0]));
    desk.commit().await.unwrap();
    let next = app.deliver(JOB).await;
    assert_eq!(counts(&next, "visits"), json!([3, 0, 0]));
    let updated = "select count(*) from members where last_contact_at is not null";
    assert_eq!(app.count(updated).await, 2);
}

#[tokio::test]
async fn a_member_who_is_just_coming_back_is_not_anonymised() {
    let app = a_gym().await;
    app.execute(&rows_of("members", "(now() - interval '5 years')", 2))
        .await;
    let door = another_transaction(
        &app,
        "insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, now() from members where status = 'cancelled' limit 1",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 1, 0]));
    door.commit().await.unwrap();
    let next = app.deliver(JOB).await;
    assert_eq!(counts(&next, "members"), json!([0, 0, 0]));
    assert_eq!(left(&app, "members").await, 1);
}

#[tokio::test]
async fn a_table_that_somebody_holds_costs_its_own_policy_only() {
    let app = backlog_of(App::impatient().await).await;
    let ddl =
        another_transaction(&app, "lock table kiosk_heartbeats in access exclusive mode").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["policies_failed"], 1);
    for target in TARGETS {
        let expected = match target {
            "kiosk_heartbeats" => json!([0, null, null]),
            _ => json!([10, 0, 0]),
        };
        assert_eq!(counts(&reply, target), expected, "{target}");
    }
    ddl.rollback().await.unwrap();
    let next = app.deliver(JOB).await;
    assert_eq!(counts(&next, "kiosk_heartbeats"), json!([10, 0, 0]));
    let open = "select count(*) from alerts where status = 'open'";
    assert_eq!(app.count(open).await, 0);
}

#[rstest::rstest]
#[case::a_conversation("conversation_sessions")]
#[case::an_alert("alerts")]
#[case::a_log_line("system_logs")]
#[tokio::test]
async fn a_member_whose_traces_somebody_holds_keeps_no_other_from_going(#[case] table: &str) {
    let app = in_a_gym(App::impatient().await).await;
    app.execute(&rows_of("members", "(now() - interval '5 years')", 20))
        .await;
    let held = "(select id from members where status = 'cancelled' order by id limit 1)";
    app.execute(&format!(
        "insert into conversation_sessions (gym_id, member_id, started_at)
         values ('{GYM}', {held}, now() - interval '6 years');
         insert into alerts (gym_id, member_id, kind, dedup_key, status, title)
         values ('{GYM}', {held}, 'x', 'x:1', 'dismissed', 'x');
         insert into system_logs (log_type, message, details)
         values ('x', 'x', jsonb_build_object('member_id', {held}));
         update retention_policies set enabled = (target = 'members')"
    ))
    .await;
    let desk = another_transaction(&app, &format!("select from {table} for update")).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, "members"), json!([19, 1, 0]));
    assert_eq!(reply.results()["policies_failed"], 0);
    desk.rollback().await.unwrap();
    let next = app.deliver(JOB).await;
    assert_eq!(counts(&next, "members"), json!([1, 0, 0]));
}
