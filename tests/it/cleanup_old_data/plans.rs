//! The walks use their indexes, at every size, analysed or not; and so does
//! finding the traces of a member. The statements are those that the service
//! sends, as the record of them has it.

use std::path::Path;

use rstest::rstest;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{GYM, a_gym, rows_of};
use crate::app::App;

/// The one statement of ours that holds all of these words, and its parameters.
fn statement(words: &[&str]) -> (String, Vec<String>) {
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let mut found = Vec::new();
    for file in std::fs::read_dir(record).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let query: Value = serde_json::from_str(&text).unwrap();
        let sql = query["query"].as_str().unwrap().to_owned();
        if words.iter().all(|word| sql.contains(word)) {
            let kinds = query["describe"]["parameters"]["Left"].as_array().unwrap();
            let kinds = kinds.iter().map(|kind| kind.as_str().unwrap().to_owned());
            found.push((sql, kinds.collect()));
        }
    }
    assert_eq!(found.len(), 1, "{words:?}: {found:#?}");
    found.remove(0)
}

/// How that statement is carried out with these values, as a batch would.
pub(crate) async fn plan_of(app: &App, words: &[&str], values: &[&str]) -> String {
    let (sql, kinds) = statement(words);
    let kinds: Vec<String> = kinds
        .iter()
        .map(|kind| kind.replace("Array", "[]"))
        .collect();
    assert_eq!(kinds.len(), values.len(), "{kinds:?}");
    let mut tx = app.db.begin().await.unwrap();
    for sql in [
        "set local random_page_cost = 1.1",
        "set local enable_seqscan = off",
        "set local enable_sort = off",
        "set local plan_cache_mode = force_custom_plan",
        &format!("prepare asked ({}) as {sql}", kinds.join(", ")),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    let explain = format!("explain execute asked ({})", values.join(", "));
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    sqlx::raw_sql("deallocate asked")
        .execute(&mut *tx)
        .await
        .unwrap();
    lines.join("\n")
}

/// The tables with their alias, and the index that each is walked by.
const WALKS: [(&str, &str); 10] = [
    ("conversation_events e", "conversation_events_by_age"),
    (
        "conversation_sessions s",
        "conversation_sessions_to_redact_by_sign",
    ),
    ("kiosk_heartbeats b", "kiosk_heartbeats_by_age"),
    ("alerts a", "alerts_by_end"),
    ("visits v", "visits_by_age"),
    ("member_churn_history p", "member_churn_history_by_day"),
    ("system_logs g", "system_logs_by_time"),
    ("job_runs r", "job_runs_by_age"),
    ("report_deliveries d", "report_deliveries_by_age"),
    ("audit_events v", "audit_events_by_age"),
];

#[rstest]
#[tokio::test]
async fn a_batch_is_a_span_of_the_index_at_every_size(
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)] which: usize,
    #[values(2_000, 30_000)] rows: i64,
    #[values(true, false)] analysed: bool,
) {
    let (rows_of_it, index) = WALKS[which];
    let target = rows_of_it.split(' ').next().unwrap();
    let app = a_gym().await;
    let old = "(now() - interval '5 years' + n * interval '1 minute')";
    app.execute(&rows_of(target, old, rows)).await;
    if analysed {
        app.execute(&format!("analyze {target}")).await;
    }
    let years = if target == "audit_events" { 14 } else { 5 };
    let at = |n: i64| format!("now() - interval '{years} years' + interval '{n} minutes'");
    let (from, upto) = (at(rows / 4), at(rows / 2));
    let nil = uuid::Uuid::nil();
    let id = match target {
        "member_churn_history" => format!("'{nil}/{nil}'"),
        "report_deliveries" => format!("'{nil}/0'"),
        "conversation_events" | "kiosk_heartbeats" | "visits" | "system_logs" => "'0'".to_owned(),
        _ => format!("'{nil}'"),
    };
    let erase = match target {
        "conversation_sessions" => format!("update {rows_of_it}\n"),
        _ => format!("delete from {rows_of_it}\n"),
    };
    let until = match target {
        "conversation_sessions" | "alerts" => "now()",
        _ => "'infinity'",
    };
    let walk = format!("from {rows_of_it}\n               where");

    let plans = [
        plan_of(
            &app,
            &[&walk, "looked!"],
            &[
                "false", "now()", "now()", &from, &id, "5000", "0", "false", until,
            ],
        )
        .await,
        plan_of(
            &app,
            &[&erase, "$7"],
            &["false", "now()", "now()", &from, &id, &upto, &id, "false"],
        )
        .await,
    ];

    for plan in plans {
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
        // Neither a skip scan nor a whole index, to find what is deleted.
        let own = format!(" on {rows_of_it}");
        for line in plan.lines().filter(|line| line.contains(&own)) {
            let is_other =
                line.contains(" using ") && !line.contains(index) && !line.contains("_pkey");
            assert!(!is_other, "{plan}");
        }
    }
}

#[rstest]
#[case("system_logs", "details", "set message =")]
#[case("alerts", "details", "set title =")]
#[case("audit_events", "payload", "update audit_events")]
#[case("conversation_events", "payload", "set transcript = null")]
#[case("conversation_sessions", "metadata", "redacted_at = coalesce")]
#[tokio::test]
async fn traces_of_a_member_are_found_by_an_index(
    #[case] table: &str,
    #[case] column: &str,
    #[case] words: &str,
    #[values(true, false)] analysed: bool,
) {
    let app = a_gym().await;
    app.execute(&rows_of(table, "now()", 5_000)).await;
    app.execute(&format!(
        "update {table} set {column} = jsonb_build_object('member_id', gen_random_uuid())
          where ctid in (select ctid from {table} limit 1000)"
    ))
    .await;
    if analysed {
        app.execute(&format!("analyze {table}")).await;
    }
    let gone = "array['00000000-0000-0000-0000-0000000000dd']::uuid[]";
    let mut values = vec![gone, "'ottoline <-> grandchamp'"];
    let more = match table {
        "conversation_events" => vec!["5000"],
        "system_logs" | "audit_events" => vec![],
        _ => vec!["now()"],
    };
    values.extend(more);

    let plan = plan_of(&app, &[words, "words_in"], &values).await;

    let index = format!("{table}_by_trace");
    assert_eq!(plan.matches(&index).count(), 2, "{plan}");
    assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
}

#[tokio::test]
async fn whether_a_document_names_a_held_member_is_found_by_an_index() {
    let app = a_gym().await;
    for table in [
        "system_logs",
        "audit_events",
        "conversation_events",
        "alerts",
        "conversation_sessions",
    ] {
        app.execute(&rows_of(table, "now()", 3_000)).await;
        app.execute(&format!("analyze {table}")).await;
    }
    let first = "'00000000-0000-0000-0000-000000000000'";

    let plan = plan_of(
        &app,
        &["from member_contacts c", "looked!"],
        &[
            "true",
            "now()",
            "now()",
            "'-infinity'",
            first,
            "200",
            "0",
            "false",
            "now()",
        ],
    )
    .await;

    for table in [
        "system_logs",
        "audit_events",
        "conversation_events",
        "alerts",
        "conversation_sessions",
    ] {
        let index = format!("{table}_by_trace");
        assert!(plan.contains(&index), "{index} is not in\n{plan}");
    }
    assert!(!plan.contains("Seq Scan on conv"), "{plan}");
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
    let gone = "array['00000000-0000-0000-0000-0000000000dd']::uuid[]";

    let words = "'ottoline <-> grandchamp'";
    let plan = plan_of(
        &app,
        &["update weekly_reports w", "'{at_risk}'"],
        &[gone, words],
    )
    .await;

    let index = "weekly_reports_by_trace";
    assert_eq!(plan.matches(index).count(), 2, "{plan}");
}

#[tokio::test]
async fn members_are_walked_by_their_index() {
    let app = a_gym().await;
    app.execute(&rows_of(
        "members",
        "(now() - n * interval '1 minute')",
        20_000,
    ))
    .await;
    app.execute("analyze members").await;
    let first = "'00000000-0000-0000-0000-000000000000'";

    let plan = plan_of(
        &app,
        &["from member_contacts c", "looked!"],
        &[
            "false",
            "now()",
            "now() - interval '3 years'",
            "'-infinity'",
            first,
            "200",
            "0",
            "false",
            "now() - interval '3 years'",
        ],
    )
    .await;

    assert!(plan.contains("members_gone"), "{plan}");
}
