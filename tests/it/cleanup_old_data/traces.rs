//! Traces of a member: an id however it is written and wherever it stands, and
//! names in rows that have no id; searched for in a dump of the whole database.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::json;

use super::{GYM, JOB, KIOSK, MEMBER, SESSION, a_gym, counts};
use crate::app::App;

mod dump;
mod others;

use dump::dump;

const GONE: &str = "abcdef00-1234-4abc-8def-0123456789ab";

/// The ways to write an id that the type takes, one that only people do, and
/// behind digits that could begin another.
const SPELLINGS: [&str; 9] = [
    "ABCDEF00-1234-4ABC-8DEF-0123456789AB",
    "abcdef0012344abc8def0123456789ab",
    "{abcdef00-1234-4abc-8def-0123456789ab}",
    "{ABCDEF0012344ABC8DEF0123456789AB}",
    "abcd-ef00-1234-4abc-8def-0123-4567-89ab",
    "urn:uuid:Abcdef00-1234-4Abc-8deF-0123456789aB",
    "2026-abcdef00-1234-4abc-8def-0123456789ab",
    "1764400000-ABCDEF00-1234-4ABC-8DEF-0123456789AB",
    "cafeabcdef00-1234-4abc-8def-0123456789ab.wav",
];

/// Where a document may have it.
const SHAPES: [&str; 7] = [
    r#"{"member_id": "ID"}"#,
    r#"{"memberId": "ID"}"#,
    r#"{"member": {"id": "ID", "since": 2015}}"#,
    r#"{"who": [{"x": 1}, "ID"]}"#,
    r#"["ID"]"#,
    r#"{"ID": true}"#,
    r#"{"text": "the member ID came in"}"#,
];

/// Rows that name her, one of each kind, with that document.
fn naming(document: &str, n: usize) -> String {
    format!(
        r#"
        insert into conversation_events (session_id, event_type, transcript, payload)
        values ('{SESSION}', 'x', 'Ottoline of {n}', '{document}');
        insert into conversation_sessions (gym_id, kiosk_id, metadata)
        values ('{GYM}', '{KIOSK}', jsonb_build_array('{document}'::jsonb, 'Ottoline of {n}'));
        insert into alerts (gym_id, kind, dedup_key, title, details, recommended_actions)
        values ('{GYM}', 'x', 'x:{n}', 'Ottoline of {n}', '{document}', '["Call Grandchamp"]');
        insert into system_logs (log_type, message, details)
        values ('x', 'Ottoline of {n}', '{document}');
        insert into audit_events (event_type, entity_type, entity_id, payload)
        values ('x', 'x', 'x', jsonb_build_array('{document}'::jsonb, 'Ottoline of {n}'));
        "#
    )
}

async fn ottoline(app: &App) {
    app.execute(&format!(
        "insert into members (id, gym_id, badge_id, first_name, last_name, email, status, cancelled_at)
         values ('{GONE}', '{GYM}', 'QX-77310', 'Ottoline', 'Grandchamp',
                 'ottoline+gym@grandchamp.test', 'cancelled', now() - interval '5 years');
         update retention_policies set enabled = (target = 'members')"
    ))
    .await;
}

fn nowhere() -> BTreeMap<String, usize> {
    BTreeMap::new()
}

#[tokio::test]
async fn a_dump_has_no_trace_of_her_however_her_id_was_written_and_wherever_it_stood() {
    let app = a_gym().await;
    ottoline(&app).await;
    let mut n = 0;
    for spelling in SPELLINGS {
        for shape in SHAPES {
            n += 1;
            app.execute(&naming(&shape.replace("ID", spelling), n))
                .await;
        }
    }
    let words = ["ottoline", "grandchamp", "QX-77310"];
    let before = dump(&app, &words).await;
    assert_eq!(before.values().sum::<usize>(), 1 + 5 * n, "{before:?}");

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    assert_eq!(dump(&app, &words).await, nowhere());
}

/// Texts without an id.
const TEXTS: [&str; 16] = [
    "Ottoline Grandchamp",
    "GRANDCHAMP, Ottoline",
    "ottoline van Grandchamp",
    "mail to OTTOLINE+gym@Grandchamp.test!",
    "<ottoline+gym@grandchamp.test>",
    "badge QX-77310 was read",
    "qx-77310",
    r#"{"last_name": "Grandchamp", "first_name": "Ottoline"}"#,
    "https://gym.test/members/Ottoline-Grandchamp?tab=1",
    "ottoline_grandchamp@work.test",
    "GET /search?name=Ottoline%20Grandchamp",
    "OTTOLINE+GRANDCHAMP",
    "scans/grandchamp-ottoline.pdf",
    "mailto:ottoline+gym@grandchamp.test",
    "?to=ottoline%2Bgym%40grandchamp.test",
    "badge=QX-77310, /badges/qx-77310.json",
];

#[tokio::test]
async fn a_dump_has_no_trace_of_her_in_rows_that_have_no_id() {
    let app = a_gym().await;
    ottoline(&app).await;
    for (n, text) in TEXTS.iter().enumerate() {
        let document = json!({ "n": n, "a": text });
        app.execute(&format!(
            "insert into conversation_events (session_id, event_type, transcript)
             values ('{SESSION}', 'x', '{text}');
             insert into conversation_events (session_id, event_type, payload)
             values ('{SESSION}', 'x', '{document}');
             insert into conversation_sessions (gym_id, metadata) values ('{GYM}', '{document}');
             insert into alerts (kind, dedup_key, title) values ('x', 'a:{n}', '{text}');
             insert into alerts (kind, dedup_key, title, details)
             values ('x', 'b:{n}', 'x', '{document}');
             insert into system_logs (log_type, message) values ('x', '{text}');
             insert into system_logs (log_type, message, details) values ('x', 'x', '{document}');
             insert into audit_events (event_type, entity_type, entity_id, payload)
             values ('x', 'x', 'x', '{document}'), ('x', 'x', '{text}', '{{}}');
             insert into job_runs (id, job, trigger, status, actor, reason, error)
             values (gen_random_uuid(), 'x', 'cli', 'failed', null, '{text}', '{text}'),
                    (gen_random_uuid(), 'x', 'cli', 'failed', '{text}', null, null);
             insert into job_pauses (job, reason, paused_by)
             values ('x{n}', '{text}', null), ('y{n}', null, '{text}');
             insert into delivery_failures (source_message_id, job, counts_for, failed_at, url, response, options)
             values ('{n}', 'x', 'x', now(), null, '{text}', '{document}'),
                    ('url {n}', 'x', 'x', now(), '{text}', null, null);
             insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone,
                                         content_hash, metrics, insights, recommendations)
             select '{GYM}', 2021 + part, 1 + {n}, '2021-01-01', '2021-01-08', 'x', 'x',
                    case part when 0 then jsonb_build_object('at_risk', array['{document}'::jsonb]) else '{{}}' end,
                    case part when 1 then jsonb_build_array('x', '{document}'::jsonb) else '[]' end,
                    case part when 2 then '[{document}]'::jsonb else '[]' end
               from generate_series(0, 2) part;
             insert into legal_holds (subject_type, subject_id, reason, until)
             values ('gym', '{GYM}', '{text}', now() - interval '1 day')"
        ))
        .await;
    }
    app.execute(&format!(
        "insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone,
                                     content_hash)
         values ('{GYM}', 2020, 1, '2020-01-01', '2020-01-08', 'x', 'x');
         insert into report_deliveries (report_id, recipient, error)
         select id, 'Ottoline+gym@grandchamp.test', 'refused' from weekly_reports"
    ))
    .await;
    let words = ["ottoline", "grandchamp", "qx-77310"];
    let before = dump(&app, &words).await;
    assert!(before.values().sum::<usize>() > 300, "{before:?}");

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    assert_eq!(dump(&app, &words).await, nowhere());
}

/// What belongs to her without naming her.
#[tokio::test]
async fn a_dump_has_her_id_where_figures_are_made_of_it_and_nothing_else_of_hers() {
    let app = a_gym().await;
    ottoline(&app).await;
    let capitals = GONE.to_uppercase();
    app.execute(&format!(
        r#"
        insert into visits (gym_id, member_id, checked_in_at)
        select '{GYM}', '{GONE}', now() - interval '4 years' - n * interval '1 day'
          from generate_series(1, 3) n;
        insert into conversation_sessions (id, gym_id, member_id, started_at, metadata)
        values ('00000000-0000-0000-0000-0000000000de', '{GYM}', '{GONE}', now() - interval '4 years',
                '{{"device": "her own tablet"}}');
        insert into conversation_events (session_id, event_type, transcript, payload)
        values ('00000000-0000-0000-0000-0000000000de', 'x', 'my knee hurts', '{{"pain": "knee"}}');
        insert into member_churn (member_id, gym_id, score, level, model_version, scored_on)
        values ('{GONE}', '{GYM}', 0.5, 'medium', '1', current_date);
        insert into alerts (gym_id, member_id, kind, dedup_key, title, details, recommended_actions)
        values ('{GYM}', '{GONE}', 'x', 'x:{GONE}', 'Knee', '{{"a": "knee"}}', '["knee"]');
        insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone,
                                    content_hash, metrics)
        values ('{GYM}', 2020, 1, '2020-01-01', '2020-01-08', 'x', 'x',
                '{{"at_risk": [{{"member_id": "{GONE}", "score": 0.5, "level": "medium"}}]}}'),
               ('{GYM}', 2020, 2, '2020-01-08', '2020-01-15', 'x', 'x',
                '{{"at_risk": [{{"member_id": "{capitals}", "score": 0.5, "level": "high"}},
                               {{"member_id": "{MEMBER}", "score": 0.9, "level": "high"}}]}}');
        insert into legal_holds (subject_type, subject_id, reason, until)
        values ('member', '{GONE}', 'her knee', now() - interval '1 day');
        insert into system_logs (log_type, message, details) values ('x', '{capitals}', '{{}}')
        "#
    ))
    .await;
    assert_eq!(dump(&app, &[GONE]).await.len(), 8);
    assert_eq!(dump(&app, &["knee", "tablet"]).await.len(), 4);

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    let at_risk = app
        .rows("select metrics -> 'at_risk' as it from weekly_reports where iso_week = 2")
        .await;
    let blank = json!({ "member_id": null, "score": 0.5, "level": "high" });
    let other = json!({ "member_id": MEMBER, "score": 0.9, "level": "high" });
    assert_eq!(at_risk, json!([{ "it": [blank, other] }]));
    let figures = BTreeMap::from([("members".to_owned(), 1), ("visits".to_owned(), 3)]);
    assert_eq!(dump(&app, &[GONE]).await, figures);
    let words = ["knee", "tablet", "ottoline", "grandchamp", "QX-77310"];
    assert_eq!(dump(&app, &words).await, nowhere());
}

#[rstest]
#[tokio::test]
async fn a_hold_by_a_document_protects_whom_it_names_however_it_does(
    #[values(
        "{ABCDEF0012344ABC8DEF0123456789AB}",
        "Ottoline Grandchamp",
        "QX-77310"
    )]
    name: &str,
    #[values("event", "transcript", "session", "alert", "log", "audit")] kind: &str,
) {
    let app = a_gym().await;
    ottoline(&app).await;
    let held = "00000000-0000-0000-0000-00000000000d";
    let document = json!({ "about": { "whom": [name] }, "gym_id": held });
    let session = format!(
        "insert into conversation_sessions (id, gym_id) values ('{held}', '{held}');
         insert into conversation_events (session_id, event_type, transcript, payload)
         values ('{held}', 'x',"
    );
    let row = match kind {
        "event" => format!("{session} null, '{document}')"),
        "transcript" => format!("{session} 'it was {name}', '{{}}')"),
        "session" => format!(
            "insert into conversation_sessions (gym_id, metadata) values ('{held}', '{document}')"
        ),
        "alert" => format!(
            "insert into alerts (gym_id, kind, dedup_key, title, details)
             values ('{held}', 'x', 'x', 'x', '{document}')"
        ),
        "log" => format!(
            "insert into system_logs (log_type, message, details) values ('x', 'x', '{document}')"
        ),
        _ => format!(
            "insert into audit_events (event_type, entity_type, entity_id, payload)
             values ('x', 'gym', '{held}', '{document}')"
        ),
    };
    app.execute(&format!(
        "insert into gyms (id, name, slug) values ('{held}', 'D', 'd');
         insert into legal_holds (subject_type, subject_id, reason) values ('gym', '{held}', 'x');
         {row}"
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([0, 0, 1]), "{reply:?}");
    assert!(!dump(&app, &[name]).await.is_empty());
    app.execute("update legal_holds set until = now()").await;
    let lifted = app.deliver(JOB).await;
    assert_eq!(counts(&lifted, "members"), json!([1, 0, 0]));
}
