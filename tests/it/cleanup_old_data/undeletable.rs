//! Rows that something of the customer's own refers to, or protects: they are
//! passed and told, and keep no other.

use rstest::rstest;
use serde_json::{Value, json};

use super::trouble::{alert, alerts};
use super::{GYM, JOB, a_gym, counts, left, of, rows_of};
use crate::app::App;

/// So many rows of `target`, older than all others, are referred to.
async fn refer_to(app: &App, target: &str, count: i64, how: &str) {
    app.execute(&rows_of(target, "(now() - interval '9 years')", count))
        .await;
    let key = match target {
        "member_churn_history" => "member_id, scored_on",
        "report_deliveries" => "report_id, recipient",
        _ => "id",
    };
    app.execute(&format!(
        "create table invoices as select {key} from {target};
         alter table invoices add foreign key ({key}) references {target} {how};
         update retention_policies set enabled = (target = '{target}')"
    ))
    .await;
}

#[rstest]
#[tokio::test]
async fn rows_that_are_referred_to_are_passed_and_those_behind_them_go(
    #[values(
        "conversation_events",
        "kiosk_heartbeats",
        "alerts",
        "visits",
        "member_churn_history",
        "system_logs",
        "job_runs",
        "delivery_failures",
        "report_deliveries",
        "audit_events"
    )]
    target: &str,
    #[values("", "on delete restrict", "deferrable initially deferred")] how: &str,
) {
    let app = a_gym().await;
    refer_to(&app, target, 25, how).await;
    app.execute(&rows_of(target, "(now() - interval '5 years')", 400))
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, target), json!([400, 25, 0]), "{reply:?}");
    assert_eq!(of(&reply, target)["refused"], 25);
    let error = of(&reply, target)["error"].as_str().unwrap();
    assert!(error.contains("foreign key constraint"), "{error}");
    assert_eq!(reply.results()["policies_failed"], 1);
    if target != "alerts" {
        let once = json!([alert(target, "open", 1, &Value::Null)]);
        assert_eq!(alerts(&app).await, once);
    }
    let again = app.deliver(JOB).await;
    assert_eq!(counts(&again, target), json!([0, 25, 0]));
    app.execute("drop table invoices").await;
    let last = app.deliver(JOB).await;
    assert_eq!(counts(&last, target), json!([25, 0, 0]));
}

#[tokio::test]
async fn ten_thousand_rows_that_are_referred_to_keep_not_even_one_behind_them() {
    let app = a_gym().await;
    refer_to(&app, "visits", 10_000, "").await;
    app.execute(&rows_of("visits", "(now() - interval '5 years')", 1))
        .await;

    let reply = app.operate(JOB, "limit=100").await;

    assert_eq!(counts(&reply, "visits"), json!([1, 10_000, 0]), "{reply:?}");
}

#[tokio::test]
async fn rows_that_are_referred_to_are_found_among_the_others() {
    let app = a_gym().await;
    app.execute(&rows_of(
        "kiosk_heartbeats",
        "(now() - interval '5 years' + n * interval '1 minute')",
        3_000,
    ))
    .await;
    app.execute(
        "create table invoices as select id from kiosk_heartbeats where id % 7 = 0;
         alter table invoices add foreign key (id) references kiosk_heartbeats",
    )
    .await;

    let reply = app.operate(JOB, "batch_size=1000").await;

    assert_eq!(
        counts(&reply, "kiosk_heartbeats"),
        json!([3_000 - 428, 428, 0])
    );
    assert_eq!(left(&app, "kiosk_heartbeats").await, 428);
}

#[rstest]
#[tokio::test]
async fn a_trigger_keeps_its_own_rows_only_whatever_code_it_raises(
    #[values("P0001", "P0002", "45000", "23514", "22000")] code: &str,
    #[values("before delete", "after delete")] when: &str,
) {
    let app = a_gym().await;
    app.execute(&rows_of("visits", "(now() - interval '9 years')", 30))
        .await;
    app.execute(&rows_of("visits", "(now() - interval '5 years')", 70))
        .await;
    app.execute(&format!(
        "create function no() returns trigger language plpgsql as $$ begin
             if old.checked_in_at < now() - interval '6 years' then
                 raise exception 'an invoice is unpaid' using errcode = '{code}';
             end if;
             return old; end $$;
         create trigger no {when} on visits for each row execute function no()"
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "visits"), json!([70, 30, 0]), "{reply:?}");
    assert_eq!(
        of(&reply, "visits")["error"],
        "erase expired rows: an invoice is unpaid"
    );
}

#[tokio::test]
async fn members_who_cannot_be_anonymised_are_passed_too() {
    let app = a_gym().await;
    app.execute(&rows_of("members", "(now() - interval '9 years')", 30))
        .await;
    app.execute(&rows_of("members", "(now() - interval '5 years')", 40))
        .await;
    app.execute(&format!(
        "create function no() returns trigger language plpgsql as $$ begin
             if new.status = 'anonymised' and old.cancelled_at < now() - interval '6 years' then
                 raise exception 'an invoice is unpaid';
             end if;
             return new; end $$;
         create trigger no before update on members for each row execute function no();
         insert into visits (gym_id, member_id, checked_in_at)
         select '{GYM}', id, now() - interval '8 years' from members"
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([40, 30, 0]), "{reply:?}");
    assert_eq!(of(&reply, "members")["refused"], 30);
}
