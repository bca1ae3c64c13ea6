//! A member who is anonymised: no trace of the person is left, and the figures are.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{GYM, JOB, KIOSK, SESSION, a_gym, counts, of};
use crate::app::App;

const GONE: &str = "00000000-0000-0000-0000-0000000000dd";
const STAYS: &str = "00000000-0000-0000-0000-0000000000ee";
const REPORT: &str = "00000000-0000-0000-0000-0000000000ff";

/// What must not be found afterwards, in any case of letters.
const NAMES: [&str; 4] = [
    "ottoline",
    "grandchamp",
    "ottoline@grandchamp.test",
    "B-7731",
];

/// Ottoline left five years ago, and is named wherever a member can be.
async fn ottoline() -> App {
    let app = a_gym().await;
    app.execute(&format!(
        r#"
        insert into members (id, gym_id, badge_id, first_name, last_name, email, status, joined_on,
                             cancelled_at)
        values ('{GONE}', '{GYM}', 'B-7731', 'Ottoline', 'Grandchamp', 'ottoline@grandchamp.test',
                'cancelled', '2015-01-01', now() - interval '5 years'),
               ('{STAYS}', '{GYM}', 'B-7732', 'Pia', 'Zeller', 'pia@zeller.test', 'active',
                '2015-01-01', null);
        insert into visits (gym_id, member_id, checked_in_at)
        select '{GYM}', '{GONE}', now() - interval '4 years' - n * interval '1 day'
          from generate_series(1, 9) n;
        insert into member_churn (member_id, gym_id, score, level, factors, model_version, scored_on)
        values ('{GONE}', '{GYM}', 0.9, 'critical', '["Ottoline stays away"]', '1', '2020-01-01');
        insert into member_churn_history (member_id, gym_id, scored_on, score, level, model_version)
        values ('{GONE}', '{GYM}', now() - interval '9 days', 0.9, 'critical', '1');
        insert into legal_holds (subject_type, subject_id, reason, until)
        values ('member', '{GONE}', 'Grandchamp against us', now() - interval '1 day');
        insert into weekly_reports (id, gym_id, iso_year, iso_week, period_start, period_end,
                                    timezone, content_hash, metrics)
        values ('{REPORT}', '{GYM}', 2021, 5, '2021-02-01', '2021-02-08', 'Europe/Paris', 'x',
                '{{"visits": {{"value": 3}}, "at_risk": [
                    {{"member_id": "{STAYS}", "score": 0.8, "level": "critical"}},
                    {{"member_id": "{GONE}", "score": 0.7, "level": "high", "name": "Ottoline"}}]}}');
        update retention_policies set enabled = false where target <> 'members';
        "#
    ))
    .await;
    in_conversations(&app).await;
    in_documents(&app).await;
    app
}

async fn in_conversations(app: &App) {
    app.execute(&format!(
        r#"
        insert into conversation_sessions (id, gym_id, kiosk_id, member_id, started_at, ended_at,
                                           sentiment, metadata)
        values ('{REPORT}', '{GYM}', '{KIOSK}', '{GONE}', now() - interval '4 years',
                now() - interval '4 years', 'negative', '{{"speaker": "Ottoline"}}'),
               (gen_random_uuid(), '{GYM}', '{KIOSK}', '{STAYS}', now(), now(), 'positive',
                '{{"member_id": "{GONE}", "heard": "Grandchamp"}}'),
               (gen_random_uuid(), '{GYM}', '{KIOSK}', '{STAYS}', now(), now(), 'positive',
                '{{"kept": true}}');
        insert into conversation_events (session_id, event_type, transcript, payload, occurred_at)
        values ('{REPORT}', 'user.transcript', 'My name is Ottoline', '{{"badge": "B-7731"}}',
                now() - interval '4 years'),
               ('{SESSION}', 'user.transcript', 'I saw Grandchamp', '{{"member_id": "{GONE}"}}', now()),
               ('{SESSION}', 'user.transcript', 'Another member', '{{"member_id": "{STAYS}"}}', now());
        "#
    ))
    .await;
}

async fn in_documents(app: &App) {
    app.execute(&format!(
        r#"
        insert into alerts (gym_id, member_id, kind, dedup_key, status, title, details,
                            recommended_actions)
        values ('{GYM}', '{GONE}', 'churn_risk', 'churn_risk:{GONE}', 'open', 'Ottoline may leave',
                '{{"email": "ottoline@grandchamp.test"}}', '["Call Ottoline"]'),
               ('{GYM}', '{GONE}', 'feedback', 'feedback:{GONE}', 'dismissed', 'Ottoline is cross',
                '{{}}', '[]'),
               ('{GYM}', null, 'feedback', 'feedback:1', 'open', 'Ottoline said so',
                '{{"member_id": "{GONE}", "name": "Ottoline"}}', '["Ask Grandchamp"]'),
               ('{GYM}', '{STAYS}', 'churn_risk', 'churn_risk:{STAYS}', 'open', 'Pia may leave',
                '{{"member_id": "{STAYS}"}}', '["Call Pia"]');
        insert into system_logs (log_type, message, details)
        values ('badge', 'Ottoline came in', '{{"member_id": "{GONE}", "badge": "B-7731"}}'),
               ('badge', 'Pia came in', '{{"member_id": "{STAYS}"}}');
        insert into audit_events (event_type, entity_type, entity_id, payload)
        values ('member.renamed', 'member', '{GONE}', '{{"to": "Ottoline"}}'),
               ('local.note', 'gym', '{GYM}', '{{"member_id": "{GONE}", "by": "Grandchamp"}}'),
               ('local.note', 'gym', '{GYM}', '{{"member_id": "{STAYS}"}}');
        "#
    ))
    .await;
}

/// Every column of every table that can hold text, and what names her in it.
async fn found_of_her(app: &App) -> Vec<String> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select table_name::text, column_name::text
           from information_schema.columns
           join information_schema.tables using (table_schema, table_name)
          where table_schema = current_schema()
            and table_type = 'BASE TABLE'
            and data_type in ('text', 'character varying', 'jsonb', 'json', 'ARRAY')",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    assert!(columns.len() > 60, "only {} columns", columns.len());
    let mut found = Vec::new();
    for (table, column) in columns {
        for name in NAMES {
            let sql =
                format!("select count(*) from {table} where \"{column}\"::text ilike '%{name}%'");
            let hits: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_one(&app.db)
                .await
                .unwrap();
            if hits > 0 {
                found.push(format!("{name} in {table}.{column}"));
            }
        }
    }
    found
}

#[tokio::test]
async fn a_search_of_every_column_finds_nothing_of_an_anonymised_member() {
    let app = ottoline().await;
    assert!(found_of_her(&app).await.len() > 20, "she was not there");

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    assert_eq!(found_of_her(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_figures_are_made_of_stays_without_the_person() {
    let app = ottoline().await;

    app.deliver(JOB).await;

    let member = app
        .rows(&format!(
            "select gym_id, first_name, last_name, email, badge_id, status, joined_on,
                    cancelled_at is not null as has_left, anonymised_at is not null as is_dated
               from members where id = '{GONE}'"
        ))
        .await;
    assert_eq!(
        member,
        json!([{ "gym_id": GYM, "first_name": null, "last_name": null, "email": null,
                 "badge_id": null, "status": "anonymised", "joined_on": "2015-01-01",
                 "has_left": true, "is_dated": true }])
    );
    let of_her = |table: &str| format!("select count(*) from {table} where member_id = '{GONE}'");
    assert_eq!(app.count(&of_her("visits")).await, 9);
    assert_eq!(app.count(&of_her("member_churn_history")).await, 1);
    for table in ["member_churn", "alerts", "conversation_sessions"] {
        assert_eq!(app.count(&of_her(table)).await, 0, "{table}");
    }
    let session = app
        .rows(&format!(
            "select sentiment, metadata, redacted_at is not null as is_redacted
               from conversation_sessions where id = '{REPORT}'"
        ))
        .await;
    assert_eq!(
        session,
        json!([{ "sentiment": "negative", "metadata": {}, "is_redacted": true }])
    );
    let report = app.rows("select metrics from weekly_reports").await;
    assert_eq!(
        report[0]["metrics"],
        json!({ "visits": { "value": 3 }, "at_risk": [
            { "member_id": STAYS, "score": 0.8, "level": "critical" },
            { "member_id": null, "score": 0.7, "level": "high" },
        ]})
    );
}

#[tokio::test]
async fn alerts_about_an_anonymised_member_end_and_others_go_on() {
    let app = ottoline().await;

    app.deliver(JOB).await;

    let alerts = app
        .rows(
            "select kind, status, resolved_by, title, details, recommended_actions
                 from alerts order by kind, status, title",
        )
        .await;
    let erased = "About a member who was anonymised";
    let alert = |kind: &str, status: &str, by: Value| {
        json!({ "kind": kind, "status": status, "resolved_by": by, "title": erased,
                "details": {}, "recommended_actions": [] })
    };
    assert_eq!(
        alerts,
        json!([
            { "kind": "churn_risk", "status": "open", "resolved_by": null,
              "title": "Pia may leave", "details": { "member_id": STAYS },
              "recommended_actions": ["Call Pia"] },
            alert("churn_risk", "resolved", json!("system")),
            alert("feedback", "dismissed", Value::Null),
            alert("feedback", "open", Value::Null),
        ])
    );
    let telling = "select count(*) from alerts where dedup_key like '%0000000000dd%'";
    assert_eq!(app.count(telling).await, 0);
}

#[tokio::test]
async fn what_names_somebody_else_is_left_alone() {
    let app = ottoline().await;
    let sql = format!(
        "select (select details from system_logs where details ->> 'member_id' = '{STAYS}') as log,
                (select payload from audit_events where payload ->> 'member_id' = '{STAYS}') as audit,
                (select transcript from conversation_events
                  where payload ->> 'member_id' = '{STAYS}') as said,
                (select count(*) from conversation_sessions where member_id = '{STAYS}') as sessions,
                (select count(*) from conversation_sessions where metadata ? 'kept') as kept,
                (select to_jsonb(m) from members m where id = '{STAYS}') as member"
    );
    let before = app.rows(&sql).await;

    app.deliver(JOB).await;

    assert_eq!(app.rows(&sql).await, before);
}

#[tokio::test]
async fn an_anonymised_member_cannot_be_given_a_name_again() {
    let app = ottoline().await;
    app.deliver(JOB).await;

    for column in ["first_name", "last_name", "email", "badge_id"] {
        let sql = format!("update members set {column} = 'x' where id = '{GONE}'");
        let refused = sqlx::query(AssertSqlSafe(sql)).execute(&app.db).await;
        assert!(refused.is_err(), "{column}");
    }
    let log = app.rows("select * from erasure_log").await;
    assert!(!log.to_string().contains(GONE), "{log}");
}

#[tokio::test]
async fn one_who_talked_without_end_is_silenced_batch_by_batch() {
    let app = ottoline().await;
    app.execute(&format!(
        "insert into conversation_events (session_id, event_type, transcript)
         select '{REPORT}', 'user.transcript', 'Ottoline again' from generate_series(1, 11000)"
    ))
    .await;
    let longest = "create table longest (rows bigint);
         create function note() returns trigger language plpgsql security definer as $$ begin
             insert into longest select count(*) from changed; return null; end $$;
         create trigger note after update on conversation_events
             referencing new table as changed for each statement execute function note()";
    app.execute(longest).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    assert_eq!(found_of_her(&app).await, Vec::<String>::new());
    let most = app.count("select max(rows) from longest").await;
    assert!(most <= 10_000, "{most} in one batch");
}

#[tokio::test]
async fn a_dry_run_of_it_names_ids_and_no_one() {
    let app = ottoline().await;
    let before = app.checksums().await;

    let reply = app.operate(JOB, "dry_run=true").await;

    assert_eq!(reply.results()["samples"]["members"], json!([GONE]));
    assert_eq!(of(&reply, "members")["affected"], 1);
    assert_eq!(app.checksums().await, before);
}
