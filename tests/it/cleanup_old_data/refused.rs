//! A row that the database refuses to erase, because the shop says so.

use rstest::rstest;
use serde_json::{Value, json};

use super::trouble::{alert, alerts};
use super::{JOB, MEMBER, a_gym, counts, of, rows_of};
use crate::app::App;

#[rstest]
#[case::a_member("members", "update", 500)]
#[case::a_visit("visits", "delete", 500)]
#[tokio::test]
async fn a_row_that_is_refused_is_passed_told_and_keeps_no_other(
    #[case] target: &str,
    #[case] change: &str,
    #[case] others: i64,
) {
    let app = a_gym().await;
    app.execute(&rows_of(target, "(now() - interval '9 years')", 1))
        .await;
    app.execute(&format!(
        "create table kept as select id from {target} where id::text not in ('{MEMBER}');
         create function no() returns trigger language plpgsql as
             $$ begin
                 if exists (select from kept where kept.id = old.id) then
                     raise exception 'an invoice is unpaid';
                 end if;
                 return case when tg_op = 'DELETE' then old else new end;
             end $$;
         create trigger no before {change} on {target} for each row execute function no();
         update retention_policies set enabled = (target = '{target}')"
    ))
    .await;
    app.execute(&rows_of(target, "(now() - interval '5 years')", others))
        .await;

    let reply = app.operate(JOB, "batch_size=100").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, target), json!([others, 1, 0]));
    let error = of(&reply, target)["error"].as_str().unwrap();
    assert_eq!(error, "erase expired rows: an invoice is unpaid");
    assert_eq!(
        alerts(&app).await,
        json!([alert(target, "open", 1, &Value::Null)])
    );
}

#[rstest]
#[case::by_a_rule_of_the_data("23514", (200, "succeeded"))]
#[case::by_a_fault_of_ours("42P01", (500, "failed"))]
#[tokio::test]
async fn an_alert_that_is_refused_ends_the_run_only_by_a_fault_of_ours(
    #[case] code: &str,
    #[case] outcome: (u16, &str),
) {
    let app = a_gym().await;
    app.execute(&format!(
        "update retention_policies set keep_days = 0 where target = 'visits';
         create function no() returns trigger language plpgsql as
             $$ begin raise exception 'no alert' using errcode = '{code}'; end $$;
         create trigger no before insert on alerts for each row execute function no()"
    ))
    .await;

    let reply = app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), outcome, "{reply:?}");
    assert_eq!(reply.results()["policies_failed"], 1);
    assert_eq!(alerts(&app).await, json!([]));
}

/// Every statement that deletes heartbeats takes too long, from so many rows on.
async fn too_long_from(app: &App, rows: i64) {
    app.execute(&format!(
        "create table batches as select 0::bigint as rows where false;
         create function late() returns trigger language plpgsql as $$ begin
             insert into batches select count(*) from gone;
             if (select count(*) from gone) >= {rows} then
                 raise exception 'late' using errcode = '57014';
             end if;
             return null; end $$;
         create trigger late after delete on kiosk_heartbeats
             referencing old table as gone for each statement execute function late()"
    ))
    .await;
}

#[tokio::test]
async fn a_policy_whose_rows_all_take_too_long_is_given_up_after_three() {
    let app = a_gym().await;
    app.execute(&rows_of(
        "kiosk_heartbeats",
        "(now() - interval '2 years')",
        5,
    ))
    .await;
    too_long_from(&app, 1).await;

    let reply = app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, "kiosk_heartbeats"), json!([0, 5, 0]));
    assert_eq!(of(&reply, "kiosk_heartbeats")["refused"], 3);
    let error = of(&reply, "kiosk_heartbeats")["error"].as_str().unwrap();
    assert!(error.ends_with("erase expired rows: late"), "{error}");
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_divided_by_eight() {
    let app = a_gym().await;
    app.execute(&rows_of(
        "kiosk_heartbeats",
        "(now() - interval '2 years')",
        64,
    ))
    .await;
    too_long_from(&app, 9).await;

    let reply = app.operate(JOB, "batch_size=64").await;

    assert_eq!(counts(&reply, "kiosk_heartbeats"), json!([64, 0, 0]));
    let batches = app
        .rows("select distinct rows from batches where rows > 0")
        .await;
    assert_eq!(batches, json!([{ "rows": 8 }]));
}

#[tokio::test]
async fn a_batch_of_the_largest_size_that_takes_too_long_comes_down_to_one_row() {
    let app = a_gym().await;
    app.execute(&rows_of(
        "kiosk_heartbeats",
        "(now() - interval '2 years')",
        12,
    ))
    .await;
    too_long_from(&app, 2).await;

    let reply = app.operate(JOB, "").await;

    assert_eq!(counts(&reply, "kiosk_heartbeats"), json!([12, 0, 0]));
    assert!(of(&reply, "kiosk_heartbeats").get("error").is_none());
}

#[tokio::test]
async fn a_policy_at_its_floor_is_carried_out() {
    let app = a_gym().await;
    app.execute(&rows_of("system_logs", "(now() - interval '31 days')", 2))
        .await;
    app.execute("update retention_policies set keep_days = 30 where target = 'system_logs'")
        .await;

    let reply = app.operate(JOB, "").await;

    assert_eq!(counts(&reply, "system_logs"), json!([2, 0, 0]), "{reply:?}");
}

#[tokio::test]
async fn a_database_that_has_no_room_ends_the_run_and_gives_up_no_policy() {
    let app = a_gym().await;
    app.execute(&rows_of("visits", "(now() - interval '5 years')", 2))
        .await;
    app.execute(
        "create function no() returns trigger language plpgsql as
             $$ begin raise exception 'full' using errcode = '53100'; end $$;
         create trigger no before delete on visits for each row execute function no()",
    )
    .await;

    let reply = app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (503, "failed"), "{reply:?}");
    assert_eq!(reply.results()["policies_failed"], 0);
    assert_eq!(alerts(&app).await, json!([]));
}

#[tokio::test]
async fn the_first_policy_fails_no_run_in_which_the_others_find_nothing() {
    let app = a_gym().await;
    app.execute("update retention_policies set keep_days = 0 where target = 'conversation_events'")
        .await;

    let reply = app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["policies_failed"], 1);
}
