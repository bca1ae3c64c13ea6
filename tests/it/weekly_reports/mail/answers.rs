//! What Resend may answer instead, and what becomes of the mail.

use std::time::Duration;

use jarvis_cron::demo::resend_double::Fault;
use rstest::rstest;

use super::{ADA, JOB, Post};

fn status(status: u16, name: &'static str) -> Fault {
    Fault::Status {
        status,
        name,
        retry_after: None,
    }
}

#[rstest]
#[case::address(422, "validation_error")]
#[case::request(400, "validation_error")]
#[tokio::test]
async fn a_refused_mail_fails_neither_the_report_nor_the_others(
    #[case] code: u16,
    #[case] name: &'static str,
) {
    let post = Post::new().await;
    post.resend.fault(ADA, status(code, name));

    let reply = post.run().await;

    assert_eq!(reply.results()["generated"], 1);
    assert_eq!(reply.results()["emails_sent"], 1);
    assert_eq!(reply.results()["emails_failed"], 1);
    assert_eq!(post.got(), (0, 1));
    let (is_sent, is_unsure, error) = post.delivery(ADA).await;
    assert!(!is_sent && !is_unsure);
    assert!(error.unwrap().contains(name));
    post.app
        .execute("update report_deliveries set attempted_at = now() - interval '1 hour'")
        .await;
    assert_eq!(
        post.run().await.results()["emails_sent"],
        1,
        "a run of an hour later tries again"
    );
    assert_eq!(post.got(), (1, 1));
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    let post = Post::new().await;
    let limited = Fault::Status {
        status: 429,
        name: "rate_limit_exceeded",
        retry_after: Some(1),
    };
    post.resend.fault(ADA, limited);

    assert_eq!(post.run().await.results()["emails_sent"], 2);
    assert_eq!(post.got(), (1, 1));
}

#[rstest]
#[case::key(403, "invalid_api_key")]
#[case::no_key(401, "missing_api_key")]
#[case::sender(422, "invalid_from_address")]
#[case::address_of_the_api(404, "not_found")]
#[case::redirect(301, "")]
#[case::quota(429, "daily_quota_exceeded")]
#[case::quota_of_the_month(429, "monthly_quota_exceeded")]
#[tokio::test]
async fn what_every_mail_would_meet_ends_the_mailing_and_refuses_no_address(
    #[case] code: u16,
    #[case] name: &'static str,
) {
    let post = Post::new().await;
    post.app.execute("insert into report_recipients (gym_id, email) select id, n || '@gym.test' from gyms, generate_series(1, 30) n").await;
    post.resend.always(Some(status(code, name)));

    let reply = post.app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.results()["generated"], 1);
    assert_eq!(reply.results()["emails_sent"], 0);
    assert!(post.resend.calls().len() <= 10);
    let refused = "select count(*) from report_deliveries where refusals > 0";
    assert_eq!(post.app.count(refused).await, 0);
    post.resend.always(None);
    assert_eq!(post.run().await.results()["emails_sent"], 32);
}

#[rstest]
#[case::errors(vec![status(500, "application_error"); 3])]
#[case::garbled(vec![Fault::Garbled; 3])]
#[case::cut_after_sending(vec![Fault::DisconnectAfterEffect; 3])]
#[tokio::test]
async fn an_answer_that_says_nothing_leaves_it_unsure_until_the_next_run(
    #[case] faults: Vec<Fault>,
) {
    let post = Post::new().await;
    for fault in faults {
        post.resend.fault(ADA, fault);
    }

    let reply = post.app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.results()["emails_failed"], 1);
    let (is_sent, is_unsure, error) = post.delivery(ADA).await;
    assert!(!is_sent && is_unsure && error.is_some());
    assert_eq!(post.run().await.results()["emails_sent"], 1);
    assert_eq!(post.got(), (1, 1));
    assert_eq!(post.delivery(ADA).await, (true, false, None));
}

#[tokio::test]
async fn a_refusal_after_an_unknown_outcome_keeps_it_unsure() {
    let post = Post::new().await;
    post.resend.fault(ADA, Fault::DisconnectAfterEffect);
    post.resend.fault(ADA, status(422, "validation_error"));

    post.app.operate(JOB, "").await;

    let (is_sent, is_unsure, _) = post.delivery(ADA).await;
    assert!(!is_sent && is_unsure);
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_and_tried_again_by_the_next_run() {
    let post = Post::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    post.resend
        .fault(ADA, Fault::HangAfterEffect(Duration::from_mins(1)));

    let reply = post.app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.results()["generated"], 1);
    assert_eq!(reply.results()["emails_sent"], 1);
    assert_eq!(post.delivery(ADA).await, (false, true, None));
    assert_eq!(post.run().await.results()["emails_sent"], 1);
    assert_eq!(post.got(), (1, 1));
}
