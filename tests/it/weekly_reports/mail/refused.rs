//! Mails that Resend refuses every time.

use jarvis_cron::demo::resend_double::Fault;

use super::{ADA, Post};

const REFUSED: Fault = Fault::Status {
    status: 422,
    name: "validation_error",
    retry_after: None,
};

#[tokio::test]
async fn a_refused_mail_is_tried_five_times_with_an_hour_in_between() {
    let post = Post::new().await;
    for _ in 0..9 {
        post.resend.fault(ADA, REFUSED);
    }
    assert_eq!(post.run().await.results()["emails_waiting"], 1);
    assert_eq!(post.run().await.results()["emails_failed"], 0, "too soon");

    for tries in 2..=7 {
        post.app
            .execute("update report_deliveries set attempted_at = now() - interval '1 hour'")
            .await;
        let failed = post.run().await.results()["emails_failed"].clone();
        assert_eq!(failed, u64::from(tries <= 5), "{tries}");
    }

    let row = "select attempts from report_deliveries where sent_at is null";
    assert_eq!(post.app.count(row).await, 5);
    assert_eq!(post.run().await.results()["emails_waiting"], 0);
}

#[tokio::test]
async fn mails_that_are_refused_every_time_keep_no_other_waiting() {
    let post = Post::with(&[("RESEND_MAX_RPS", "5"), ("RUN_BUDGET_SECONDS", "2")]).await;
    post.app.execute("delete from report_recipients").await;
    post.run().await;
    post.app
        .execute(&format!(
            "insert into report_recipients (gym_id, email)
             select id, n || '@gym.test' from gyms, generate_series(1, 60) n;
             insert into report_deliveries (report_id, recipient, attempts, refusals, attempted_at)
             select r.id, email, 1, 1, now() - interval '2 hours'
               from weekly_reports r, report_recipients;
             insert into report_recipients (gym_id, email) select id, '{ADA}' from gyms"
        ))
        .await;
    post.resend.always(Some(REFUSED));
    post.resend
        .fault(ADA, Fault::HangAfterEffect(std::time::Duration::ZERO));

    let reply = post.app.operate(super::JOB, "").await;

    assert_eq!(reply.results()["emails_sent"], 1, "{reply:?}");
    assert_eq!(post.got(), (1, 0));
}
