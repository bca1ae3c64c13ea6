//! Rows whose end has not come: a mistake, and they have a begin.

use rstest::rstest;
use serde_json::json;

use super::future::held;
use super::{GYM, JOB, SESSION, a_gym};

/// Five rows that began `ago`, and the end of each is a mistake.
fn ended_ahead(target: &str, ago: &str) -> String {
    let (ends, began) = (
        "(array['infinity', '2099-01-01', now() + interval '60 days'])[n % 3 + 1]::timestamptz",
        format!("now() - interval '{ago}'"),
    );
    let row = match target {
        "conversation_sessions" => format!(
            "(gym_id, started_at, ended_at, metadata)
             select '{GYM}'::uuid, {began}, {ends}, '{{\"a\": 1}}'::jsonb"
        ),
        "alerts" => format!(
            "(kind, dedup_key, status, title, opened_at, last_seen_at, resolved_at)
             select 'x', 'x:' || n, 'resolved', 'x', {began},
                    case when n > 1 then {began} else {ends} end, {ends}"
        ),
        _ => format!(
            "(report_id, recipient, sent_at)
             select id, 'ada@gym.test', {ends} from weekly_reports cross join lateral (
                 select iso_week as n) numbered where period_end = {began}; select 1"
        ),
    };
    let reports = format!(
        "insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone, content_hash)
         select '{GYM}', length('{ago}') * 1000, n, '2000-01-01', {began}, 'x', 'x'
           from generate_series(1, 5) n;
         insert into report_recipients (gym_id, email) values ('{GYM}', 'ada@gym.test')
         on conflict do nothing;"
    );
    format!("{reports} insert into {target} {row} from generate_series(1, 5) n")
}

#[rstest]
#[tokio::test]
async fn a_row_whose_end_has_not_come_is_dated_by_what_came_before(
    #[values("conversation_sessions", "alerts", "report_deliveries")] target: &str,
) {
    let app = a_gym().await;
    app.execute(&ended_ahead(target, "5 years")).await;
    app.execute(&ended_ahead(target, "3 days")).await;

    let plan = app.operate(JOB, "dry_run=true&limit=4").await;
    let reply = app.deliver(JOB).await;

    assert_eq!(held(&plan, target), json!([4, 1, 0]), "{plan:?}");
    assert_eq!(held(&reply, target), json!([5, 0, 0]), "{reply:?}");
}

#[tokio::test]
async fn a_session_whose_end_has_not_come_counts_from_what_was_said_last() {
    let app = a_gym().await;
    app.execute(&format!(
        "update conversation_sessions set started_at = now() - interval '5 years', ended_at = '2099-01-01',
                                          metadata = '[1]';
         insert into conversation_events (session_id, event_type, occurred_at)
         values ('{SESSION}', 'x', now() - interval '29 days')"
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply, "conversation_sessions"), json!([0, 0, 0]));
}
