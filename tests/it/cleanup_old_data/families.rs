//! Members with all that belongs to them: gyms, a kiosk, and a row of every target.

use crate::app::App;

/// The ids of `text`, replaced by those of one more member, with gyms, kiosk and session.
pub(super) fn family(number: u32, text: &str) -> String {
    let text = text.replace("{n}", &number.to_string());
    let text = text.replace("00000000-0000", &format!("{number:08}-0000"));
    text.replace("{00000000", &format!("{{{number:08}"))
}

/// Five-year-old rows: one per target, and two more log lines.
pub(super) const ROWS: &str = r#"
    insert into gyms (id, name, slug)
    values ('00000000-0000-0000-0000-00000000000a', 'A', 'a{n}'),
           ('00000000-0000-0000-0000-00000000000b', 'B', 'b{n}'),
           ('00000000-0000-0000-0000-00000000000c', 'C', 'c{n}');
    insert into kiosks (id, gym_id, slug, name)
    values ('00000000-0000-0000-0000-0000000000cc', '00000000-0000-0000-0000-00000000000c',
            'k{n}', 'K');
    insert into members (id, gym_id, first_name, status, cancelled_at)
    values ('00000000-0000-0000-0000-0000000000aa', '00000000-0000-0000-0000-00000000000a',
            'Zoé', 'cancelled', now() - interval '5 years');
    insert into visits (gym_id, member_id, checked_in_at)
    values ('00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-0000000000aa',
            now() - interval '5 years');
    insert into conversation_sessions (id, gym_id, kiosk_id, member_id, started_at, ended_at)
    values ('00000000-0000-0000-0000-0000000000ea', '00000000-0000-0000-0000-00000000000b',
            '00000000-0000-0000-0000-0000000000cc', '00000000-0000-0000-0000-0000000000aa',
            now() - interval '5 years', now() - interval '5 years');
    insert into conversation_events (session_id, event_type, occurred_at)
    values ('00000000-0000-0000-0000-0000000000ea', 'x', now() - interval '5 years');
    insert into kiosk_heartbeats (kiosk_id, received_at)
    values ('00000000-0000-0000-0000-0000000000cc', now() - interval '5 years');
    insert into alerts (gym_id, kiosk_id, member_id, kind, dedup_key, status, title, resolved_at)
    values ('00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-0000000000cc',
            '00000000-0000-0000-0000-0000000000aa', 'x', 'x:1', 'resolved', 'x',
            now() - interval '5 years');
    insert into member_churn_history (member_id, gym_id, scored_on, score, level, model_version)
    values ('00000000-0000-0000-0000-0000000000aa', '00000000-0000-0000-0000-00000000000b',
            (now() - interval '5 years')::date, 0.1, 'low', '1');
    insert into system_logs (log_type, message, "timestamp", details)
    values ('x{n}', 'x', now() - interval '5 years',
            '{"member_id": "00000000-0000-0000-0000-0000000000aa"}'),
           ('x{n}', 'x', now() - interval '5 years',
            '{"gym_id": "00000000-0000-0000-0000-00000000000b"}'),
           ('x{n}', 'x', now() - interval '5 years',
            '{"kiosk_id": "00000000-0000-0000-0000-0000000000cc"}');
    insert into job_runs (id, job, trigger, status, started_at)
    values (gen_random_uuid(), 'x', 'cli', 'succeeded', now() - interval '5 years');
    insert into delivery_failures (source_message_id, job, counts_for, failed_at, received_at)
    values ('msg_{n}', 'x', 'x', now() - interval '5 years', now() - interval '5 years');
    insert into weekly_reports (id, gym_id, iso_year, iso_week, period_start, period_end, timezone,
                                content_hash)
    values ('00000000-0000-0000-0000-0000000000ba', '00000000-0000-0000-0000-00000000000b', 2020, 5,
            now() - interval '261 weeks', now() - interval '260 weeks', 'Europe/Paris', 'x');
    insert into report_deliveries (report_id, recipient, sent_at)
    values ('00000000-0000-0000-0000-0000000000ba', 'ada@gym.test', now() - interval '260 weeks');
    insert into audit_events (event_type, entity_type, entity_id, occurred_at, payload)
    values ('x{n}', 'member', '00000000-0000-0000-0000-0000000000AA', now() - interval '15 years',
            '{"gym": "{0000000000000000000000000000000B}"}');
"#;

/// What finds the rows of a family that are still as they were.
const WHOLE: [(&str, &str); 10] = [
    (
        "conversation_events",
        "session_id = '00000000-0000-0000-0000-0000000000ea'",
    ),
    (
        "conversation_sessions",
        "id = '00000000-0000-0000-0000-0000000000ea' and redacted_at is null",
    ),
    (
        "kiosk_heartbeats",
        "kiosk_id = '00000000-0000-0000-0000-0000000000cc'",
    ),
    (
        "alerts",
        "member_id = '00000000-0000-0000-0000-0000000000aa'",
    ),
    (
        "visits",
        "member_id = '00000000-0000-0000-0000-0000000000aa'",
    ),
    (
        "member_churn_history",
        "member_id = '00000000-0000-0000-0000-0000000000aa'",
    ),
    (
        "members",
        "id = '00000000-0000-0000-0000-0000000000aa' and status = 'cancelled'",
    ),
    ("system_logs", "log_type = 'x{n}' and details <> '{}'"),
    (
        "report_deliveries",
        "report_id = '00000000-0000-0000-0000-0000000000ba'",
    ),
    ("audit_events", "event_type = 'x{n}'"),
];

/// The targets in which a row of the family is still as it was.
pub(super) async fn whole(app: &App, number: u32) -> Vec<&'static str> {
    let mut targets = Vec::new();
    for (target, condition) in WHOLE {
        let sql = format!("select count(*) from {target} where {condition}");
        if app.count(&family(number, &sql)).await > 0 {
            targets.push(target);
        }
    }
    targets
}
