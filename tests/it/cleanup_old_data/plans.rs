//! The walks use their indexes, and so does finding the traces of a member.

use rstest::rstest;

use super::{GYM, a_gym, rows_of};
use crate::app::App;

async fn plan_of(app: &App, sql: &str) -> String {
    let mut tx = app.db.begin().await.unwrap();
    // As every batch begins.
    sqlx::query("set local random_page_cost = 1.1")
        .execute(&mut *tx)
        .await
        .unwrap();
    let lines: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain {sql}")))
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    lines.join("\n")
}

#[rstest]
#[case("conversation_events", "occurred_at", "conversation_events_by_age")]
#[case("kiosk_heartbeats", "received_at", "kiosk_heartbeats_by_age")]
#[case("visits", "checked_in_at", "visits_by_age")]
#[case("system_logs", "\"timestamp\"", "system_logs_by_time")]
#[tokio::test]
async fn a_batch_is_a_span_of_the_index(
    #[case] target: &str,
    #[case] at: &str,
    #[case] index: &str,
) {
    let app = a_gym().await;
    let old = "(now() - interval '5 years' + n * interval '1 minute')";
    app.execute(&rows_of(target, old, 60_000)).await;
    app.execute(&format!("analyze {target}")).await;
    let from = "(now() - interval '5 years' + interval '10000 minutes')";
    let upto = "(now() - interval '5 years' + interval '15000 minutes')";

    let reach = format!(
        "select id from {target} where {at} < now() and ({at}, id) > ({from}::text::timestamptz, 0)
          order by {at}, id limit 5000"
    );
    let erase = format!(
        "delete from {target} where {at} < now() and ({at}, id) > ({from}::text::timestamptz, 0)
            and ({at}, id) <= ({upto}::text::timestamptz, 0)"
    );

    for sql in [reach, erase] {
        let plan = plan_of(&app, &sql).await;
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
    }
}

#[rstest]
#[case("system_logs", "details", "system_logs_naming_member")]
#[case("alerts", "details", "alerts_naming_member")]
#[case("audit_events", "payload", "audit_events_naming_member")]
#[case("conversation_events", "payload", "conversation_events_naming_member")]
#[case(
    "conversation_sessions",
    "metadata",
    "conversation_sessions_naming_member"
)]
#[tokio::test]
async fn documents_that_name_a_member_are_found_by_an_index(
    #[case] table: &str,
    #[case] column: &str,
    #[case] index: &str,
) {
    let app = a_gym().await;
    if table == "audit_events" {
        app.execute(
            "insert into audit_events (event_type, entity_type, entity_id)
             select 'x', 'x', 'x' from generate_series(1, 20000)",
        )
        .await;
    } else {
        app.execute(&rows_of(table, "now()", 20_000)).await;
    }
    app.execute(&format!(
        "update {table} set {column} = jsonb_build_object('member_id', gen_random_uuid())
          where ctid in (select ctid from {table} limit 5000);
         analyze {table}"
    ))
    .await;

    let plan = plan_of(
        &app,
        &format!(
            "select t.id from unnest(array(select id from members)) as gone (id)
               join {table} t on t.{column} ->> 'member_id' = gone.id::text
              where t.{column} ? 'member_id'"
        ),
    )
    .await;

    assert!(plan.contains(index), "{plan}");
}

#[tokio::test]
async fn reports_that_name_a_member_are_found_by_an_index() {
    let app = a_gym().await;
    app.execute(&format!(
        "insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone,
                                     content_hash, metrics)
         select '{GYM}', 1000 + n, 1, '2021-02-01', '2021-02-08', 'x', 'x',
                jsonb_build_object('at_risk', jsonb_build_array(
                    jsonb_build_object('member_id', gen_random_uuid())))
           from generate_series(1, 5000) n;
         analyze weekly_reports"
    ))
    .await;

    let plan = plan_of(
        &app,
        "select n.id from unnest(array(select id from members)) as gone (id)
           join weekly_reports n
             on n.metrics -> 'at_risk' @> jsonb_build_array(jsonb_build_object('member_id', gone.id))",
    )
    .await;

    assert!(plan.contains("weekly_reports_naming_members"), "{plan}");
}

#[tokio::test]
async fn members_who_left_lately_are_not_read() {
    let app = a_gym().await;
    app.execute(&rows_of(
        "members",
        "(now() - n * interval '1 minute')",
        20_000,
    ))
    .await;
    app.execute("analyze members").await;

    let plan = plan_of(
        &app,
        "select id from member_contacts
          where status in ('cancelled', 'expired')
            and known_at < now() - interval '3 years'
            and last_contact_at < now() - interval '3 years'
          order by known_at, id limit 200",
    )
    .await;

    assert!(plan.contains("members_gone"), "{plan}");
}
