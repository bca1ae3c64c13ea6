//! Policies that cannot be carried out, and the others, which go on.

use rstest::rstest;
use serde_json::{Value, json};

use super::{JOB, TARGETS, a_backlog, a_gym, counts, left, logged, of, rows_of};
use crate::app::App;

/// From now on, a row of this table cannot be changed.
async fn refuse(app: &App, table: &str) {
    app.execute(&format!(
        "create or replace function no() returns trigger language plpgsql as
             $$ begin raise exception 'not this row'; end $$;
         create trigger no before delete or update on {table}
             for each row execute function no()"
    ))
    .await;
}

/// The alerts about policies.
pub(super) async fn alerts(app: &App) -> Value {
    app.rows(
        "select dedup_key, severity, status, occurrences, gym_id, member_id, resolved_by
           from alerts where kind = 'retention_policy_failing' order by dedup_key, opened_at",
    )
    .await
}

pub(super) fn alert(target: &str, status: &str, occurrences: u32, resolved_by: &Value) -> Value {
    json!({ "dedup_key": format!("retention_policy_failing:{target}"), "severity": "high",
            "status": status, "occurrences": occurrences, "gym_id": null, "member_id": null,
            "resolved_by": resolved_by })
}

#[rstest]
#[tokio::test]
async fn a_policy_whose_rows_are_refused_stops_no_other(
    #[values(
        "conversation_events",
        "conversation_sessions",
        "visits",
        "members",
        "job_runs"
    )]
    failing: &str,
) {
    let app = a_backlog().await;
    if failing == "job_runs" {
        // The run's own row must be written.
        app.execute(
            "create function no() returns trigger language plpgsql as
                 $$ begin raise exception 'not this row'; end $$;
             create trigger no before delete on job_runs for each row execute function no()",
        )
        .await;
    } else {
        refuse(&app, failing).await;
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["policies_failed"], 1);
    for target in TARGETS {
        let expected = if target == failing {
            json!([0, 10, 0])
        } else {
            json!([10, 0, 0])
        };
        assert_eq!(counts(&reply, target), expected, "{target}");
    }
    let error = of(&reply, failing)["error"].as_str().unwrap();
    assert_eq!(error, "erase expired rows: not this row");
    assert_eq!(logged(&app, failing).await, 0);
    assert_eq!(
        alerts(&app).await,
        json!([alert(failing, "open", 1, &Value::Null)])
    );
}

#[tokio::test]
async fn its_alert_is_bumped_once_an_hour_and_ends_when_the_policy_passes() {
    let app = a_backlog().await;
    refuse(&app, "visits").await;
    app.deliver(JOB).await;
    app.deliver(JOB).await;
    assert_eq!(
        alerts(&app).await,
        json!([alert("visits", "open", 1, &Value::Null)])
    );

    app.execute("update alerts set last_seen_at = last_seen_at - interval '1 hour'")
        .await;
    app.deliver(JOB).await;
    assert_eq!(
        alerts(&app).await,
        json!([alert("visits", "open", 2, &Value::Null)])
    );

    app.execute("drop trigger no on visits").await;
    let reply = app.deliver(JOB).await;
    assert_eq!(counts(&reply, "visits"), json!([10, 0, 0]));
    let over = alert("visits", "resolved", 2, &json!("system"));
    assert_eq!(alerts(&app).await, json!([over]));
}

#[tokio::test]
async fn its_alert_ends_too_when_the_policy_is_disabled() {
    let app = a_backlog().await;
    refuse(&app, "visits").await;
    app.deliver(JOB).await;
    app.execute("update retention_policies set enabled = false where target = 'visits'")
        .await;

    app.deliver(JOB).await;

    let over = alert("visits", "resolved", 1, &json!("system"));
    assert_eq!(alerts(&app).await, json!([over]));
}

#[rstest]
#[case::a_table_out_of_reach(
    "insert into retention_policies (target, action, keep_days, legal_basis)
     values ('orders', 'delete', 30, 'none')",
    "orders",
    "orders is out of reach: nothing is erased from it"
)]
#[case::an_action_that_does_not_fit(
    "update retention_policies set action = 'delete' where target = 'members'",
    "members",
    "the action for members is anonymise, not delete"
)]
#[case::under_the_floor_of_the_table(
    "update retention_policies set min_days = 60, keep_days = 59
      where target = 'kiosk_heartbeats'",
    "kiosk_heartbeats",
    "keep_days is 59, under the floor of 60"
)]
#[case::under_the_floor_that_is_built_in(
    "alter table retention_policies drop constraint retention_policies_floor;
     update retention_policies set min_days = 1, keep_days = 29 where target = 'system_logs'",
    "system_logs",
    "keep_days is 29, under the floor of 30"
)]
#[case::under_the_floor_of_runs(
    "alter table retention_policies drop constraint retention_policies_floor;
     update retention_policies set min_days = 1, keep_days = 29 where target = 'job_runs'",
    "job_runs",
    "keep_days is 29, under the floor of 30"
)]
#[case::under_the_floor_of_messages(
    "alter table retention_policies drop constraint retention_policies_floor;
     update retention_policies set min_days = 1, keep_days = 29
      where target = 'delivery_failures'",
    "delivery_failures",
    "keep_days is 29, under the floor of 30"
)]
#[case::no_day_at_all(
    "update retention_policies set keep_days = 0 where target = 'visits'",
    "visits",
    "keep_days is 0, under the floor of 1"
)]
#[case::a_future_that_was(
    "update retention_policies set keep_days = -9 where target = 'visits'",
    "visits",
    "keep_days is -9, under the floor of 1"
)]
#[case::longer_than_time(
    "update retention_policies set keep_days = 2147483647 where target = 'visits'",
    "visits",
    "keep_days leads past the beginning of time"
)]
#[tokio::test]
async fn a_policy_that_cannot_be_meant_touches_nothing(
    #[case] change: &str,
    #[case] failing: &str,
    #[case] error: &str,
) {
    let app = a_backlog().await;
    app.stale_orders(2, 1).await;
    app.execute(change).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(of(&reply, failing)["error"], error);
    assert_eq!(counts(&reply, failing), json!([0, null, null]));
    for target in TARGETS.into_iter().filter(|target| *target != failing) {
        assert_eq!(counts(&reply, target), json!([10, 0, 0]), "{target}");
    }
    if TARGETS.contains(&failing) {
        assert_eq!(left(&app, failing).await, 12);
    }
    assert_eq!(app.count("select count(*) from orders").await, 2);
    assert_eq!(
        alerts(&app).await,
        json!([alert(failing, "open", 1, &Value::Null)])
    );
}

#[tokio::test]
async fn when_no_policy_can_be_carried_out_the_run_has_failed() {
    let app = a_backlog().await;
    app.execute("update retention_policies set keep_days = 0")
        .await;

    let reply = app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (500, "failed"), "{reply:?}");
    assert_eq!(reply.results()["policies_failed"], 12);
    let alerts = "select count(*) from alerts where kind = 'retention_policy_failing'";
    assert_eq!(app.count(alerts).await, 12);
}

#[tokio::test]
async fn without_any_policy_there_is_nothing_to_do() {
    let app = a_backlog().await;
    app.execute("delete from retention_policies").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["policies"], json!([]));
}

#[tokio::test]
async fn one_row_that_is_refused_later_keeps_what_was_erased_before() {
    let app = a_backlog().await;
    app.execute(
        "create function no() returns trigger language plpgsql as $$ begin
             if old.id = (select max(id) from visits where checked_in_at < now() - interval '4 years')
             then raise exception 'not this row'; end if; return old; end $$;
         create trigger no before delete on visits for each row execute function no()",
    )
    .await;
    // The youngest of them has the lowest id, so it is the last of the walk
    // once the dates are turned round.
    app.execute(
        "update visits set checked_in_at = now() - interval '6 years' + id * interval '1 day'
                  where checked_in_at < now() - interval '4 years'",
    )
    .await;

    let reply = app.operate(JOB, "batch_size=3").await;

    assert_eq!(counts(&reply, "visits"), json!([9, 1, 0]));
    assert_eq!(logged(&app, "visits").await, 9);
    assert_eq!(left(&app, "visits").await, 3);
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_tried_with_fewer_rows() {
    let app = a_backlog().await;
    app.execute(&rows_of(
        "kiosk_heartbeats",
        "(now() - interval '2 years')",
        90,
    ))
    .await;
    // As a statement's time-out does; more than ten rows are too many.
    app.execute(
        "create function late() returns trigger language plpgsql as $$ begin
             if (select count(*) from gone) > 10 then
                 perform pg_cancel_backend(pg_backend_pid());
                 perform pg_sleep(1);
             end if;
             return null; end $$;
         create trigger late after delete on kiosk_heartbeats
             referencing old table as gone for each statement execute function late()",
    )
    .await;

    let reply = app.operate(JOB, "batch_size=64").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, "kiosk_heartbeats"), json!([100, 0, 0]));
    assert_eq!(logged(&app, "kiosk_heartbeats").await, 100);
}

#[tokio::test]
async fn a_target_with_a_colon_has_one_alert_that_stays_open() {
    let app = a_gym().await;
    app.execute(
        "insert into retention_policies (target, action, keep_days, legal_basis)
         values ('shop:carts', 'delete', 30, 'none')",
    )
    .await;

    app.deliver(JOB).await;
    app.deliver(JOB).await;

    assert_eq!(
        alerts(&app).await,
        json!([alert("shop:carts", "open", 1, &Value::Null)])
    );
}
