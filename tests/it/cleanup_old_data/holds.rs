//! Legal holds: what they cover, and when they end.
//!
//! A member of gym A came to gym B, where they talked to a kiosk that belongs
//! to gym C. All of it is five years ago.

use rstest::rstest;
use serde_json::{Value, json};

use super::{JOB, TARGETS, counts, of};
use crate::app::{App, Reply};

const A: &str = "00000000-0000-0000-0000-00000000000a";
const B: &str = "00000000-0000-0000-0000-00000000000b";
const C: &str = "00000000-0000-0000-0000-00000000000c";
const KIOSK: &str = "00000000-0000-0000-0000-0000000000cc";
const MEMBER: &str = "00000000-0000-0000-0000-0000000000aa";
const SESSION: &str = "00000000-0000-0000-0000-0000000000ea";

async fn three_gyms() -> App {
    let app = App::new().await;
    let long_ago = "now() - interval '5 years'";
    app.execute(&format!(
        "insert into gyms (id, name, slug)
         values ('{A}', 'A', 'a'), ('{B}', 'B', 'b'), ('{C}', 'C', 'c');
         insert into kiosks (id, gym_id, slug, name) values ('{KIOSK}', '{C}', 'kc', 'KC');
         insert into members (id, gym_id, first_name, status, cancelled_at)
         values ('{MEMBER}', '{A}', 'Zoé', 'cancelled', {long_ago});
         insert into visits (gym_id, member_id, checked_in_at)
         values ('{B}', '{MEMBER}', {long_ago});
         insert into conversation_sessions (id, gym_id, kiosk_id, member_id, started_at, ended_at)
         values ('{SESSION}', '{B}', '{KIOSK}', '{MEMBER}', {long_ago}, {long_ago});
         insert into conversation_events (session_id, event_type, occurred_at)
         values ('{SESSION}', 'x', {long_ago});
         insert into kiosk_heartbeats (kiosk_id, received_at) values ('{KIOSK}', {long_ago});
         insert into alerts (gym_id, kiosk_id, member_id, kind, dedup_key, status, title, resolved_at)
         values ('{B}', '{KIOSK}', '{MEMBER}', 'x', 'x:1', 'resolved', 'x', {long_ago});
         insert into member_churn_history (member_id, gym_id, scored_on, score, level, model_version)
         values ('{MEMBER}', '{B}', ({long_ago})::date, 0.1, 'low', '1');
         insert into system_logs (log_type, message, \"timestamp\", details)
         values ('x', 'x', {long_ago}, '{{\"member_id\": \"{MEMBER}\"}}'),
                ('x', 'x', {long_ago}, '{{\"gym_id\": \"{B}\"}}'),
                ('x', 'x', {long_ago}, '{{\"kiosk_id\": \"{KIOSK}\"}}');
         insert into job_runs (id, job, trigger, status, started_at)
         values (gen_random_uuid(), 'x', 'cli', 'succeeded', {long_ago});
         insert into delivery_failures (source_message_id, job, counts_for, failed_at, received_at)
         values ('msg_1', 'x', 'x', {long_ago}, {long_ago})"
    ))
    .await;
    app
}

async fn hold(app: &App, subject: &str, id: &str, until: &str) {
    app.execute(&format!(
        "insert into legal_holds (subject_type, subject_id, reason, until)
         values ('{subject}', '{id}', 'a court has yet to decide', {until})"
    ))
    .await;
}

/// The targets of which something was held.
fn held(reply: &Reply) -> Vec<&'static str> {
    let mut targets = TARGETS.to_vec();
    targets.retain(|target| of(reply, target)["held"] == 1);
    targets
}

fn sum(reply: &Reply, field: &str) -> i64 {
    let policies = TARGETS.iter().map(|target| of(reply, target));
    policies.map(|policy| policy[field].as_i64().unwrap()).sum()
}

#[rstest]
#[case::on_the_member("member", MEMBER, &[
    "conversation_events", "conversation_sessions", "alerts", "visits", "member_churn_history",
    "members", "system_logs",
])]
#[case::on_the_gym_of_the_member("gym", A, &[
    "conversation_events", "conversation_sessions", "alerts", "visits", "member_churn_history",
    "members", "system_logs",
])]
#[case::on_the_gym_they_came_to("gym", B, &[
    "conversation_events", "conversation_sessions", "alerts", "visits", "member_churn_history",
    "members", "system_logs",
])]
#[case::on_the_gym_of_the_kiosk("gym", C, &[
    "conversation_events", "conversation_sessions", "kiosk_heartbeats", "alerts", "members",
    "system_logs",
])]
#[tokio::test]
async fn a_hold_covers_every_row_that_belongs_to_its_subject(
    #[case] subject: &str,
    #[case] id: &str,
    #[case] covered: &[&str],
    #[values("null", "now() + interval '1 hour'")] until: &str,
) {
    let app = three_gyms().await;
    hold(&app, subject, id, until).await;
    let plan = app.operate(JOB, "dry_run=true").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(held(&reply), covered);
    assert_eq!(sum(&reply, "remaining"), 0);
    // Ten targets, and two log lines more.
    let covered = i64::try_from(covered.len()).unwrap();
    assert_eq!(sum(&reply, "affected"), 12 - covered);
    assert_eq!(reply.results()["rows_erased"], 12 - covered);
    assert_eq!(held(&plan), held(&reply));
    let again = app.deliver(JOB).await;
    assert_eq!((held(&again), sum(&again, "affected")), (held(&reply), 0));
}

#[rstest]
#[case::that_has_ended("member", MEMBER, "now() - interval '1 second'")]
#[case::on_somebody_else("member", "00000000-0000-0000-0000-0000000000ff", "null")]
#[case::on_another_gym("gym", "00000000-0000-0000-0000-0000000000ff", "null")]
#[tokio::test]
async fn a_hold_covers_nothing_when_it_is_one(
    #[case] subject: &str,
    #[case] id: &str,
    #[case] until: &str,
) {
    let app = three_gyms().await;
    hold(&app, subject, id, until).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply), Vec::<&str>::new());
    assert_eq!(sum(&reply, "affected"), 12);
}

#[tokio::test]
async fn once_a_hold_is_lifted_the_next_run_erases() {
    let app = three_gyms().await;
    hold(&app, "gym", A, "null").await;
    app.deliver(JOB).await;
    app.execute("update legal_holds set until = now()").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]));
    assert_eq!(counts(&reply, "visits"), json!([1, 0, 0]));
}

#[tokio::test]
async fn held_rows_use_up_no_limit() {
    let app = three_gyms().await;
    hold(&app, "member", MEMBER, "null").await;
    app.execute(&format!(
        "insert into members (id, gym_id) values ('00000000-0000-0000-0000-0000000000ab', '{C}');
         insert into visits (gym_id, member_id, checked_in_at)
         select '{C}', '00000000-0000-0000-0000-0000000000ab', now() - interval '4 years'
           from generate_series(1, 3)"
    ))
    .await;

    let reply = app.operate(JOB, "limit=2&batch_size=1").await;

    assert_eq!(counts(&reply, "visits"), json!([2, 1, 1]));
}

#[tokio::test]
async fn a_log_line_that_names_no_one_properly_is_just_old() {
    let app = three_gyms().await;
    hold(&app, "member", MEMBER, "null").await;
    let odd: [Value; 4] = [
        json!({ "member_id": null }),
        json!({ "member_id": 7, "gym_id": { "a": 1 } }),
        json!(["member_id"]),
        json!("member_id"),
    ];
    for details in odd {
        app.execute(&format!(
            "insert into system_logs (log_type, message, \"timestamp\", details)
             values ('x', 'x', now() - interval '5 years', '{details}')"
        ))
        .await;
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "system_logs"), json!([6, 0, 1]));
}

#[rstest]
#[case::an_event(
    "insert into conversation_events (session_id, event_type, transcript, payload, occurred_at)
     values ('{session}', 'x', 'said', '{naming}', now())"
)]
#[case::a_conversation(
    "insert into conversation_sessions (gym_id, started_at, metadata)
     values ('{gym}', now(), '{naming}')"
)]
#[case::an_alert(
    "insert into alerts (gym_id, kind, dedup_key, status, title, details)
     values ('{gym}', 'x', 'x:2', 'resolved', 'x', '{naming}')"
)]
#[case::a_log_line(
    "insert into system_logs (log_type, message, details)
     values ('x', 'x', '{\"gym_id\": \"{gym}\"}'::jsonb || '{naming}')"
)]
#[tokio::test]
async fn who_is_named_in_a_held_document_is_held(#[case] document: &str) {
    let app = three_gyms().await;
    let (gym, session) = (
        "00000000-0000-0000-0000-00000000000d",
        "00000000-0000-0000-0000-0000000000ed",
    );
    let named = format!("{{\"member_id\": \"{MEMBER}\", \"evidence\": \"kept\"}}");
    app.execute(&format!(
        "insert into gyms (id, name, slug) values ('{gym}', 'D', 'd');
         insert into conversation_sessions (id, gym_id, started_at)
         values ('{session}', '{gym}', now());"
    ))
    .await;
    let document = document.replace("{gym}", gym).replace("{session}", session);
    app.execute(&document.replace("{naming}", &named)).await;
    hold(&app, "gym", gym, "null").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply), ["members"]);
    let kept = "select (select count(*) from conversation_events where payload ? 'evidence')
                     + (select count(*) from conversation_sessions where metadata ? 'evidence')
                     + (select count(*) from alerts where details ? 'evidence')
                     + (select count(*) from system_logs where details ? 'evidence')";
    assert_eq!(app.count(kept).await, 1);
    app.execute("update legal_holds set until = now()").await;
    let lifted = app.deliver(JOB).await;
    assert_eq!(counts(&lifted, "members"), json!([1, 0, 0]));
    assert_eq!(app.count(kept).await, 0);
}
