//! Which mails wait in the outbox, and for how long.

use jarvis_cron::demo::resend_double::Fault;
use rstest::rstest;
use serde_json::json;

use super::{ADA, JOB, Post};

const QUOTA: Fault = Fault::Status {
    status: 429,
    name: "daily_quota_exceeded",
    retry_after: None,
};

/// Thirty-two people want the report, and the quota is used up.
async fn denied() -> Post {
    let post = Post::new().await;
    post.app.execute("insert into report_recipients (gym_id, email) select id, n || '@gym.test' from gyms, generate_series(1, 30) n").await;
    post.resend.always(Some(QUOTA));
    let reply = post.app.operate(JOB, "").await;
    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.results()["emails_waiting"], 32);
    post.resend.always(None);
    post
}

#[tokio::test]
async fn mails_that_were_never_begun_are_sent_a_week_later() {
    let post = denied().await;
    post.a_week_passes().await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 64);
    assert_eq!(reply.results()["emails_waiting"], 0);
}

/// A week in which the clocks go back lasts longer than seven days, by up to two hours.
#[rstest]
#[case::within("7 days 119 minutes", 2)]
#[case::after("7 days 121 minutes", 0)]
#[tokio::test]
async fn the_last_report_is_mailed_until_the_longest_week_after_it_is_over(
    #[case] ago: &str,
    #[case] sent: u64,
) {
    let post = Post::new().await;
    post.run().await;
    post.app
        .execute(&format!(
            "delete from report_deliveries;
             update weekly_reports set period_end = now() - interval '{ago}'"
        ))
        .await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], sent);
}

#[tokio::test]
async fn a_report_of_a_month_ago_is_not_mailed() {
    let post = denied().await;
    post.app
        .execute(
            "update weekly_reports
                set period_start = period_start - interval '30 days',
                    period_end = period_end - interval '30 days', iso_year = iso_year - 1",
        )
        .await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 32, "of the last week only");
    assert_eq!(reply.results()["emails_waiting"], 0);
}

#[tokio::test]
async fn a_former_recipient_gets_no_mail_that_still_waits() {
    let post = denied().await;
    post.app
        .execute(&format!(
            "delete from report_recipients where email = '{ADA}'"
        ))
        .await;

    assert_eq!(post.run().await.results()["emails_sent"], 31);
    assert_eq!(post.got(), (0, 1));
}

#[tokio::test]
async fn a_delivery_that_another_transaction_holds_delays_no_other() {
    let post = denied().await;
    let mut holder = post.app.db.begin().await.unwrap();
    sqlx::query("select from report_deliveries where recipient = $1 for update")
        .bind(ADA)
        .execute(&mut *holder)
        .await
        .unwrap();

    let reply = post.run().await;
    holder.rollback().await.unwrap();

    assert_eq!(reply.results()["emails_sent"], 31);
    assert_eq!(reply.results()["emails_waiting"], 1);
    assert_eq!(post.run().await.results()["emails_sent"], 1);
}

#[tokio::test]
async fn a_report_that_cannot_be_read_spoils_no_other_mail() {
    let post = denied().await;
    let other = post.app.gym_called("lille", "Europe/Paris").await;
    post.app
        .execute(&format!(
            "insert into report_recipients (gym_id, email) values ('{other}', 'cy@gym.test')"
        ))
        .await;
    post.app
        .execute("update weekly_reports set metrics = '{}'")
        .await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 1);
    assert_eq!(reply.results()["emails_failed"], 32);
    assert_eq!(post.resend.sent()[0].to, "cy@gym.test");
    let why = reply.results()["failures"][0]["error"].as_str().unwrap();
    assert!(why.contains("cannot read"), "{why}");
}

#[tokio::test]
async fn a_run_out_of_time_says_that_mails_are_left() {
    let post = Post::with(&[("RESEND_MAX_RPS", "5"), ("RUN_BUDGET_SECONDS", "1")]).await;
    post.app.execute("insert into report_recipients (gym_id, email) select id, n || '@gym.test' from gyms, generate_series(1, 30) n").await;

    let reply = post.app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    let sent = reply.results()["emails_sent"].as_u64().unwrap();
    assert_eq!(reply.results()["emails_waiting"], 32 - sent);
    let tried = "select count(*) from report_deliveries where attempts > 0";
    assert_eq!(post.app.count(tried).await.cast_unsigned(), sent);
}

#[tokio::test]
async fn a_run_without_time_to_mail_fills_the_outbox() {
    let post = Post::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    post.app.gyms(3_000).await;
    post.app
        .execute("insert into report_recipients (gym_id, email) select id, 'cy@gym.test' from gyms")
        .await;

    let reply = post.app.operate(JOB, "batch_size=1").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert!(post.resend.calls().is_empty());
    let reports = reply.results()["generated"].as_i64().unwrap();
    let waiting = "select count(*) from report_deliveries where recipient = 'cy@gym.test'";
    assert_eq!(post.app.count(waiting).await, reports);
}

#[tokio::test]
async fn a_dry_run_says_how_many_mails_the_run_sends_and_sends_none() {
    let post = Post::new().await;
    let before = post.app.checksums().await;

    let dry = post.app.operate(JOB, "dry_run=true").await;

    assert_eq!(dry.outcome(), (200, "succeeded"), "{dry:?}");
    assert!(post.resend.calls().is_empty());
    assert_eq!(post.app.checksums().await, before);
    let mut planned = dry.results().clone();
    let samples = planned.as_object_mut().unwrap().remove("samples").unwrap();
    assert_eq!(samples["mailed"].as_array().unwrap().len(), 1);
    assert_eq!(planned["emails_sent"], 2);
    assert_eq!(planned, *post.run().await.results());
    let dry = post.app.operate(JOB, "dry_run=true").await;
    assert_eq!(dry.results()["emails_sent"], json!(0));
}

#[tokio::test]
async fn a_try_dated_in_the_future_keeps_no_mail_waiting() {
    let post = denied().await;
    post.app
        .execute("update report_deliveries set attempted_at = attempted_at + interval '1 year'")
        .await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 32, "{reply:?}");
    assert_eq!(reply.results()["emails_waiting"], 0, "{reply:?}");
}
