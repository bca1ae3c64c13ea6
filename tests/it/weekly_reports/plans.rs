//! Every statement of the job takes a moment, however many gyms there are, and
//! whether or not the tables were ever analysed.

use jarvis_cron::demo::resend_double::ResendDouble;
use rstest::rstest;

use super::JOB;
use crate::app::App;

/// Visits of two weeks in all; conversations and scores are in proportion.
const VISITS: i32 = 60_000;
/// So many mails are sent; the statements about the others are what matters.
const MAILS: usize = 20;

/// The tables that the job reads.
const TABLES: [&str; 12] = [
    "alerts",
    "conversation_sessions",
    "gyms",
    "kiosk_heartbeats",
    "kiosks",
    "member_churn",
    "member_churn_history",
    "members",
    "report_deliveries",
    "report_recipients",
    "visits",
    "weekly_reports",
];

/// So many gyms with all that a report is about, and some weeks of reports.
async fn fill(app: &App, gyms: i32) {
    for table in TABLES {
        app.execute(&format!(
            "alter table {table} set (autovacuum_enabled = false)"
        ))
        .await;
    }
    app.gyms(gyms).await;
    let members = (6_000 / gyms).max(4);
    let visits = VISITS / gyms / members;
    app.execute(&format!(
        "insert into members (gym_id, joined_on) select id, '2018-01-01' from gyms, generate_series(1, {members});
         insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, now() - n * interval '336 hours' / {visits} from members, generate_series(1, {visits}) n;
         insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version)
         select id, current_date - n, gym_id, 0.8, 'critical', 'test' from members, unnest(array[0, 7, 14]) n;
         insert into conversation_sessions (gym_id, started_at, sentiment, sentiment_score, topics)
         select gym_id, now() - n * interval '80 hours', 'neutral', 0, array['a', 'b' || n]
           from members, generate_series(1, 4) n;
         insert into alerts (kind, severity, dedup_key, title, gym_id, opened_at, last_seen_at)
         select 'gym_offline', 'high', 'gym_offline:' || id, 'x', id, now() - interval '9 days', now() from gyms;
         insert into kiosks (gym_id, slug, name, status, created_at)
         select id, slug, 'Desk', 'online', '2024-01-01' from gyms order by id limit 50;
         update gyms set opening_hours = '{{}}' where id not in (select gym_id from kiosks);
         insert into kiosk_heartbeats (kiosk_id, received_at)
         select id, now() - n * interval '20 minutes' from kiosks, generate_series(1, 1100) n;
         insert into report_recipients (gym_id, email)
         select id, n || '@gym.test' from gyms, generate_series(1, 5) n;
         insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone, content_hash)
         select id, 1990, n, now() - (n + 2) * interval '7 days', now() - (n + 1) * interval '7 days', timezone, 'x'
           from gyms, generate_series(1, 10) n;
         insert into report_deliveries (report_id, recipient, sent_at)
         select weekly_reports.id, email, now() from weekly_reports join report_recipients using (gym_id);"
    ))
    .await;
}

#[rstest]
#[tokio::test]
async fn a_monday_takes_a_moment_at_every_size(
    #[values(1, 1_000)] gyms: i32,
    #[values(true, false)] is_analysed: bool,
) {
    let resend = ResendDouble::start().await.unwrap();
    resend.quota(Some(MAILS));
    let url = resend.url();
    let app = App::with(&[
        ("RESEND_API_KEY", "re_test"),
        ("RESEND_API_BASE", &url),
        ("RESEND_MAX_RPS", "1000"),
        ("REPORT_FROM", "JARVIS <reports@gym.test>"),
        ("DATABASE_STATEMENT_TIMEOUT_MS", "5000"),
        ("RUN_BUDGET_SECONDS", "50"),
    ])
    .await;
    fill(&app, gyms).await;
    if is_analysed {
        app.execute(&format!("analyze {}", TABLES.join(", "))).await;
    }

    let reply = app.deliver(JOB).await;

    let mails = u64::try_from(gyms * 5).unwrap();
    let sent = mails.min(MAILS as u64);
    assert_eq!(reply.results()["generated"], gyms, "{reply:?}");
    assert_eq!(reply.results()["errors"], 0, "{reply:?}");
    assert_eq!(reply.results()["emails_sent"], sent, "{reply:?}");
    assert_eq!(reply.results()["emails_waiting"], mails - sent);
    let took = reply.body["duration_ms"].as_i64().unwrap();
    println!("{gyms} gyms, analysed: {is_analysed}: {took} ms");
    assert!(took < 25_000, "{took} ms for {gyms} gyms");
    let again = app.deliver(JOB).await;
    let took = again.body["duration_ms"].as_i64().unwrap();
    assert_eq!(again.results()["unchanged"], gyms, "{again:?}");
    assert!(
        took < 5_000,
        "{took} ms for {gyms} gyms whose report is there"
    );
}
