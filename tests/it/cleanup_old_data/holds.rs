//! Legal holds: what they cover, and when they end.
//!
//! A member of gym A came to gym B, where they talked to a kiosk that belongs
//! to gym C. All of it is five years ago.

use rstest::rstest;
use serde_json::{Value, json};

use super::families::{ROWS, family, whole};
use super::{JOB, TARGETS, counts, of};
use crate::app::{App, Reply};

const A: &str = "00000000-0000-0000-0000-00000000000a";
const B: &str = "00000000-0000-0000-0000-00000000000b";
pub(super) const C: &str = "00000000-0000-0000-0000-00000000000c";
pub(super) const MEMBER: &str = "00000000-0000-0000-0000-0000000000aa";

async fn three_gyms() -> App {
    let app = App::new().await;
    app.execute(&family(0, ROWS)).await;
    app
}

pub(super) async fn hold(app: &App, subject: &str, id: &str, until: &str) {
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
    "members", "system_logs", "audit_events",
])]
#[case::on_the_gym_of_the_member("gym", A, &[
    "conversation_events", "conversation_sessions", "alerts", "visits", "member_churn_history",
    "members", "system_logs", "audit_events",
])]
#[case::on_the_gym_they_came_to("gym", B, &[
    "conversation_events", "conversation_sessions", "alerts", "visits", "member_churn_history",
    "members", "system_logs", "report_deliveries", "audit_events",
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
    // A family beside it, in the same batches, whose own hold has ended.
    app.execute(&family(1, ROWS)).await;
    hold(&app, subject, id, until).await;
    hold(&app, subject, &family(1, id), "now() - interval '1 second'").await;
    let plan = app.operate(JOB, "dry_run=true").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(held(&reply), covered);
    for target in TARGETS {
        let rows = if target == "system_logs" { 6 } else { 2 };
        let kept = i64::from(covered.contains(&target));
        assert_eq!(
            counts(&reply, target),
            json!([rows - kept, 0, kept]),
            "{target}"
        );
    }
    assert_eq!(whole(&app, 0).await, covered);
    assert_eq!(whole(&app, 1).await, Vec::<&str>::new());
    // Twelve targets, and two log lines more, twice.
    let covered = i64::try_from(covered.len()).unwrap();
    assert_eq!(reply.results()["rows_erased"], 28 - covered);
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
    assert_eq!(sum(&reply, "affected"), 14);
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
           from generate_series(1, 3);
         insert into visits (gym_id, member_id, checked_in_at)
         values ('{C}', '{MEMBER}', now() - interval '42 months')"
    ))
    .await;

    let reply = app.operate(JOB, "limit=2&batch_size=1").await;

    assert_eq!(counts(&reply, "visits"), json!([2, 1, 2]));
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
    app.execute(&family(1, ROWS)).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply), ["members"]);
    assert_eq!(counts(&reply, "members"), json!([1, 0, 1]));
    assert_eq!(whole(&app, 0).await, ["members"]);
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
