//! cleanup-old-data, from policy to erased row.

use serde_json::{Value, json};

use crate::app::{App, Reply};

mod anonymised;
mod broken_off;
mod deliveries;
mod dry_run;
mod ends_ahead;
mod families;
mod future;
mod holds;
mod last_contact;
mod late_holds;
mod locks;
pub(crate) mod plans;
mod refused;
pub(crate) mod rules;
mod session_settings;
mod traces;
mod trouble;
mod undeletable;
mod walks;

const JOB: &str = "cleanup-old-data";

/// The targets, in the order of the rotation.
const TARGETS: [&str; 12] = [
    "conversation_events",
    "conversation_sessions",
    "kiosk_heartbeats",
    "alerts",
    "visits",
    "member_churn_history",
    "members",
    "system_logs",
    "job_runs",
    "delivery_failures",
    "report_deliveries",
    "audit_events",
];

const GYM: &str = "00000000-0000-0000-0000-00000000000a";
const KIOSK: &str = "00000000-0000-0000-0000-0000000000ca";
const MEMBER: &str = "00000000-0000-0000-0000-0000000000aa";
const SESSION: &str = "00000000-0000-0000-0000-0000000000ea";

/// A gym with a kiosk, an active member and a conversation under way.
async fn a_gym() -> App {
    in_a_gym(App::new().await).await
}

async fn in_a_gym(app: App) -> App {
    app.execute(&format!(
        "insert into gyms (id, name, slug) values ('{GYM}', 'A', 'a');
         insert into kiosks (id, gym_id, slug, name) values ('{KIOSK}', '{GYM}', 'ka', 'KA');
         insert into members (id, gym_id, badge_id, first_name, last_name, email)
         values ('{MEMBER}', '{GYM}', 'B-1', 'Zoé', 'Ferrand', 'zoe@ferrand.test');
         insert into conversation_sessions (id, gym_id, kiosk_id)
         values ('{SESSION}', '{GYM}', '{KIOSK}')"
    ))
    .await;
    app
}

/// What inserts `count` rows of `target` that are dated `at`, an expression.
fn rows_of(target: &str, at: &str, count: i64) -> String {
    let (columns, values) = match target {
        "conversation_events" => (
            "session_id, event_type, transcript, occurred_at",
            format!("'{SESSION}'::uuid, 'user.transcript', 'hello', {at}"),
        ),
        "conversation_sessions" => (
            "gym_id, state, started_at, ended_at, metadata",
            format!("'{GYM}'::uuid, 'closed', {at}, {at}, '{{\"device\": 1}}'::jsonb"),
        ),
        "kiosk_heartbeats" => ("kiosk_id, received_at", format!("'{KIOSK}'::uuid, {at}")),
        "alerts" => (
            "kind, dedup_key, status, title, opened_at, last_seen_at, resolved_at",
            format!("'x', 'x:' || n, 'resolved', 'over', {at}, {at}, {at}"),
        ),
        "visits" => (
            "gym_id, member_id, checked_in_at",
            format!("'{GYM}'::uuid, '{MEMBER}'::uuid, {at}"),
        ),
        "member_churn_history" => (
            "gym_id, member_id, scored_on, score, level, model_version",
            format!(
                "'{GYM}'::uuid, gen_random_uuid(), ({at} at time zone 'UTC')::date, 0.1, 'low', '1'"
            ),
        ),
        "members" => (
            "gym_id, badge_id, first_name, status, cancelled_at",
            format!("'{GYM}'::uuid, gen_random_uuid()::text, 'Ada', 'cancelled', {at}"),
        ),
        "system_logs" => (
            "log_type, message, \"timestamp\"",
            format!("'health', 'fine', {at}"),
        ),
        "job_runs" => (
            "id, job, trigger, status, started_at",
            format!("gen_random_uuid(), 'x', 'cli', 'succeeded', {at}"),
        ),
        "delivery_failures" => (
            "source_message_id, job, counts_for, failed_at, received_at",
            format!("gen_random_uuid()::text, 'x', 'x', {at}, {at}"),
        ),
        "report_deliveries" => return deliveries_of(at, count),
        // Kept for ten years.
        "audit_events" => (
            "event_type, entity_type, entity_id, occurred_at",
            format!("'x', 'order', n::text, {at} - interval '9 years'"),
        ),
        other => panic!("no rows of {other}"),
    };
    format!("insert into {target} ({columns}) select {values} from generate_series(1, {count}) n;")
}

/// What inserts `count` reports whose mail was sent when their week ended.
fn deliveries_of(at: &str, count: i64) -> String {
    format!(
        "with reports as (
             insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end,
                                         timezone, content_hash)
             select '{GYM}', (select coalesce(max(iso_year), 0) from weekly_reports) + n, 1,
                    {at} - interval '7 days', {at}, 'Europe/Paris', 'x'
               from generate_series(1, {count}) n
             returning id, period_end
         )
         insert into report_deliveries (report_id, recipient, sent_at)
         select id, 'ada@gym.test', period_end from reports;"
    )
}

/// How many rows of `target` have not been erased.
async fn left(app: &App, target: &str) -> i64 {
    let condition = match target {
        "conversation_sessions" => "metadata <> '{}'",
        "members" => "first_name = 'Ada'",
        "system_logs" => "log_type = 'health'",
        "job_runs" => "job = 'x'",
        "audit_events" => "event_type = 'x'",
        _ => "true",
    };
    app.count(&format!("select count(*) from {target} where {condition}"))
        .await
}

/// What became of one policy.
fn of<'r>(reply: &'r Reply, target: &str) -> &'r Value {
    let policies = reply.results()["policies"].as_array();
    let mut policies = policies.unwrap_or_else(|| panic!("{reply:?}")).iter();
    policies
        .find(|policy| policy["target"] == target)
        .unwrap_or_else(|| panic!("{target} is not in {reply:?}"))
}

/// Affected, remaining and held.
fn counts(reply: &Reply, target: &str) -> Value {
    let policy = of(reply, target);
    json!([policy["affected"], policy["remaining"], policy["held"]])
}

/// What the erasure log says of `target`, over all runs.
async fn logged(app: &App, target: &str) -> i64 {
    app.count(&format!(
        "select coalesce(sum(affected), 0) from erasure_log where target = '{target}'"
    ))
    .await
}

/// Ten rows of every target that are past their keeping, and two that are not.
async fn a_backlog() -> App {
    backlog_of(App::new().await).await
}

async fn backlog_of(app: App) -> App {
    let app = in_a_gym(app).await;
    fill(&app, 10).await;
    app
}

async fn fill(app: &App, count: i64) {
    for target in TARGETS {
        // Each on a day of its own, since some are dated by the day.
        app.execute(&rows_of(
            target,
            "(now() - interval '5 years' - n * interval '1 day')",
            count,
        ))
        .await;
        app.execute(&rows_of(target, "(now() - interval '1 day')", 2))
            .await;
    }
}

#[tokio::test]
async fn a_session_is_redacted_once_and_its_row_stays() {
    let app = a_gym().await;
    let old = rows_of("conversation_sessions", "(now() - interval '31 days')", 1);
    app.execute(&old).await;
    app.deliver(JOB).await;
    // The application writes into it again: the policy does not redact it twice.
    app.execute("update conversation_sessions set metadata = '{\"late\": 1}'")
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "conversation_sessions"), json!([0, 0, 0]));
    assert_eq!(
        app.count("select count(*) from conversation_sessions")
            .await,
        2
    );
}

#[tokio::test]
async fn a_conversation_that_goes_on_is_not_redacted_however_old() {
    let app = a_gym().await;
    app.execute("update conversation_sessions set started_at = now() - interval '1 year', metadata = '{\"a\": 1}'")
        .await;
    app.execute(&rows_of("conversation_events", "now()", 1))
        .await;

    app.deliver(JOB).await;

    assert_eq!(left(&app, "conversation_sessions").await, 1);
}

#[tokio::test]
async fn an_open_alert_and_a_run_at_work_stay_however_old() {
    let app = a_gym().await;
    app.execute(
        "insert into alerts (kind, dedup_key, status, title, opened_at, last_seen_at)
         select 'x', 'x:' || status, status, 'x', now() - interval '5 years', now() - interval '5 years'
           from unnest(array['open', 'acknowledged', 'dismissed']) status;
         insert into job_runs (id, job, trigger, status, started_at)
         values (gen_random_uuid(), 'x', 'cli', 'running', now() - interval '5 years')",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "alerts"), json!([1, 0, 0]));
    assert_eq!(counts(&reply, "job_runs"), json!([0, 0, 0]));
    let open = app.rows("select status from alerts order by 1").await;
    assert_eq!(
        open,
        json!([{ "status": "acknowledged" }, { "status": "open" }])
    );
}

#[tokio::test]
async fn a_disabled_policy_keeps_everything_and_is_listed_as_such() {
    let app = a_backlog().await;
    app.execute("update retention_policies set enabled = false where target = 'visits'")
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(left(&app, "visits").await, 12);
    assert_eq!(
        *of(&reply, "visits"),
        json!({ "target": "visits", "action": "delete", "keep_days": 1095, "cutoff": null,
                "affected": 0, "remaining": null, "locked": 0, "refused": 0, "held": null,
                "held_by_future": null, "disabled": true })
    );
    assert_eq!(counts(&reply, "conversation_events"), json!([10, 0, 0]));
}
