//! Mails that wait for Resend: the run says so, tells an operator, and goes on.

use std::time::Duration;

use jarvis_cron::demo::qstash_double::{QstashDouble, TOKEN};
use jarvis_cron::demo::resend_double::Fault;
use rstest::rstest;
use serde_json::{Value, json};

use super::{JOB, Post};
use crate::app::Reply;
use crate::messages;

/// So many people want the report, beside Ada and Bob.
async fn more_recipients(post: &Post, count: i32) {
    post.app
        .execute(&format!(
            "insert into report_recipients (gym_id, email)
             select id, n || '@gym.test' from gyms, generate_series(1, {count}) n"
        ))
        .await;
}

async fn alert(post: &Post, kind: &str) -> Value {
    let sql = format!(
        "select status, severity, title, occurrences, details from alerts
          where kind = '{kind}' order by opened_at"
    );
    post.app.rows(&sql).await
}

async fn run(post: &Post) -> Reply {
    post.app.deliver(JOB).await
}

fn answered(status: u16, name: &'static str, retry_after: Option<u64>) -> Fault {
    Fault::Status {
        status,
        name,
        retry_after,
    }
}

#[tokio::test]
async fn who_is_past_the_quota_gets_the_report_after_its_reset_and_an_alert_says_how_many_wait() {
    let qstash = QstashDouble::start().await.unwrap();
    let url = qstash.url();
    let post = Post::with(&[("QSTASH_TOKEN", TOKEN), ("QSTASH_URL", &url)]).await;
    more_recipients(&post, 98).await;
    post.resend.quota(Some(50));

    let monday = run(&post).await;

    assert_eq!(monday.outcome(), (200, "partial"), "{monday:?}");
    assert_eq!(monday.results()["emails_sent"], 50);
    assert_eq!(monday.results()["emails_waiting"], 50);
    assert_eq!(monday.body["continued"], true, "{monday:?}");
    let told = alert(&post, "mail_waiting").await;
    assert_eq!(told[0]["status"], "open");
    assert_eq!(told[0]["severity"], "high");
    assert_eq!(told[0]["details"]["waiting"], 50);
    assert!(
        told[0]["title"].as_str().unwrap().starts_with("50 mails"),
        "{told}"
    );
    let why = told[0]["details"]["error"].as_str().unwrap();
    assert!(why.contains("daily_quota_exceeded"), "{why}");
    let message = qstash.messages().pop().unwrap();
    let delay = humantime::parse_duration(message.header("upstash-delay").unwrap()).unwrap();
    let a_day = Duration::from_hours(24);
    assert!((a_day..a_day * 2).contains(&delay), "{delay:?}");

    post.resend.quota(None);
    let tuesday = messages::of(&message).to(&post.app).await;

    assert_eq!(tuesday.outcome(), (200, "succeeded"), "{tuesday:?}");
    assert_eq!(tuesday.results()["emails_sent"], 50);
    assert_eq!(alert(&post, "mail_waiting").await[0]["status"], "resolved");
    let mut to: Vec<String> = post.resend.sent().into_iter().map(|mail| mail.to).collect();
    to.sort();
    to.dedup();
    assert_eq!((to.len(), post.resend.sent().len()), (100, 100));
}

#[tokio::test]
async fn a_continuation_that_still_meets_the_quota_is_continued_once_more() {
    let qstash = QstashDouble::start().await.unwrap();
    let url = qstash.url();
    let post = Post::with(&[("QSTASH_TOKEN", TOKEN), ("QSTASH_URL", &url)]).await;
    post.resend.quota(Some(0));
    let mut reply = run(&post).await;

    for day in 1..=3 {
        assert_eq!(reply.body["continued"], true, "{day}: {reply:?}");
        assert_eq!(qstash.messages().len(), day);
        let message = qstash.messages().pop().unwrap();
        assert!(message.header("upstash-delay").is_some());
        reply = messages::of(&message).to(&post.app).await;
        assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    }
    let told = alert(&post, "mail_waiting").await;
    assert_eq!(told.as_array().unwrap().len(), 1);
    assert_eq!(told[0]["occurrences"], 4);
}

#[tokio::test]
async fn without_a_token_the_evenings_tick_sends_what_waits() {
    let post = Post::new().await;
    more_recipients(&post, 8).await;
    post.resend.quota(Some(4));

    let morning = run(&post).await;
    assert_eq!(morning.outcome(), (200, "partial"), "{morning:?}");
    assert_eq!(morning.body["not_continued"], "no_token", "{morning:?}");
    post.resend.quota(Some(7));
    let evening = run(&post).await;
    let told = alert(&post, "mail_waiting").await;
    post.resend.quota(None);
    let by_hand = run(&post).await;

    assert_eq!(evening.outcome(), (200, "partial"), "{evening:?}");
    assert_eq!(evening.results()["generated"], 0);
    assert_eq!(evening.results()["emails_sent"], 3);
    assert_eq!(told[0]["details"]["waiting"], 3);
    assert!(
        told[0]["title"].as_str().unwrap().starts_with("3 mails"),
        "{told}"
    );
    assert_eq!(by_hand.results()["emails_sent"], 3);
    assert_eq!(alert(&post, "mail_waiting").await[0]["status"], "resolved");
}

#[rstest]
#[case::quota(answered(429, "daily_quota_exceeded", None), 24 * 3_600, 25 * 3_600)]
#[case::quota_that_says_when(answered(429, "daily_quota_exceeded", Some(7_200)), 7_200, 7_200)]
#[case::quota_of_the_month(answered(429, "monthly_quota_exceeded", None), 24 * 3_600, 25 * 3_600)]
#[case::rate(answered(429, "rate_limit_exceeded", Some(600)), 600, 600)]
#[case::rate_for_seconds(answered(429, "rate_limit_exceeded", Some(20)), 60, 60)]
#[case::key(answered(401, "validation_error", None), 3_600, 12 * 3_600)]
#[case::domain(answered(403, "validation_error", None), 3_600, 12 * 3_600)]
#[case::outage(answered(503, "service_unavailable", None), 600, 3_600)]
#[case::cut(Fault::DisconnectAfterEffect, 600, 3_600)]
#[tokio::test]
async fn the_run_goes_on_when_it_may_help(
    #[case] fault: Fault,
    #[case] least: u64,
    #[case] most: u64,
) {
    let post = Post::new().await;
    post.resend.always(Some(fault));

    let reply = run(&post).await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    let pause = reply.results()["resume"]["after_seconds"].as_u64().unwrap();
    assert!((least..=most).contains(&pause), "{pause}");
    let told = alert(&post, "mail_waiting").await;
    assert_eq!(told[0]["details"]["waiting"], 2, "{told}");
    assert!(
        told[0]["details"]["error"]
            .as_str()
            .unwrap()
            .contains("Resend"),
        "{told}"
    );
    post.resend.always(None);
    let later = run(&post).await;
    assert_eq!(later.outcome(), (200, "succeeded"), "{later:?}");
    assert_eq!(later.results()["resume"], Value::Null);
    assert_eq!(post.got(), (1, 1));
    assert_eq!(alert(&post, "mail_waiting").await[0]["status"], "resolved");
}

#[tokio::test]
async fn a_run_about_another_gym_resolves_nothing_that_still_waits() {
    let post = Post::new().await;
    let other = post.app.gym_called("lille", "Europe/Paris").await;
    post.resend.quota(Some(0));
    run(&post).await;
    post.resend.quota(None);

    let reply = post.app.operate(JOB, &format!("gym_id={other}")).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(alert(&post, "mail_waiting").await[0]["status"], "open");
    run(&post).await;
    assert_eq!(alert(&post, "mail_waiting").await[0]["status"], "resolved");
}

#[tokio::test]
async fn a_rehearsal_tells_nothing_and_a_mail_that_never_waited_neither() {
    let post = Post::new().await;
    post.resend.quota(Some(0));
    post.app.operate(JOB, "dry_run=true").await;
    post.resend.quota(None);
    run(&post).await;

    let told = post.app.rows("select kind from alerts").await;
    assert_eq!(told, json!([]));
}
