//! Resend is away for a while.

use jarvis_cron::demo::resend_double::Fault;
use rstest::rstest;

use super::{JOB, Post};

const AWAY: Fault = Fault::Status {
    status: 503,
    name: "service_unavailable",
    retry_after: None,
};
const BUSY: Fault = Fault::Status {
    status: 429,
    name: "rate_limit_exceeded",
    retry_after: Some(60),
};

#[tokio::test]
async fn without_a_connection_surely_nothing_was_sent() {
    let post = Post::with(&[("RESEND_API_BASE", "http://127.0.0.1:9")]).await;

    let reply = post.app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.results()["generated"], 1);
    assert_eq!(reply.results()["emails_failed"], 2);
    assert_eq!(reply.results()["emails_waiting"], 2);
    let unsure = "select count(*) from report_deliveries where unsure_since is not null";
    assert_eq!(post.app.count(unsure).await, 0);
}

#[rstest]
#[case::away(AWAY)]
#[case::busy(BUSY)]
#[tokio::test]
async fn a_run_whose_mails_got_no_answer_is_partial_and_the_next_mails_them(#[case] fault: Fault) {
    let post = Post::new().await;
    post.resend.always(Some(fault));

    let first = post.app.deliver(JOB).await;

    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    assert_eq!(first.results()["generated"], 1);
    assert_eq!(
        post.app.count("select count(*) from weekly_reports").await,
        1
    );
    post.resend.always(None);
    let again = post.app.deliver(JOB).await;
    assert_eq!(again.outcome(), (200, "succeeded"), "{again:?}");
    assert_eq!(again.results()["emails_sent"], 2);
    assert_eq!(again.results()["emails_waiting"], 0);
    assert_eq!(post.got(), (1, 1));
}

#[tokio::test]
async fn mails_that_were_surely_not_sent_are_sent_a_week_later() {
    let post = Post::new().await;
    post.resend.always(Some(BUSY));
    post.app.operate(JOB, "").await;
    post.resend.always(None);
    post.a_week_passes().await;

    let reply = post.run().await;

    assert_eq!(reply.results()["generated"], 1);
    assert_eq!(reply.results()["emails_sent"], 4);
    assert_eq!(post.got(), (2, 2));
}

#[tokio::test]
async fn mails_that_may_have_been_sent_are_left_alone_a_week_later() {
    let post = Post::new().await;
    post.resend.always(Some(Fault::DisconnectAfterEffect));
    post.app.operate(JOB, "").await;
    post.resend.always(None);
    post.a_week_passes().await;

    assert_eq!(post.run().await.results()["emails_sent"], 2);
}

#[tokio::test]
async fn many_mails_without_an_answer_end_the_mailing() {
    let post = Post::new().await;
    post.app.execute("insert into report_recipients (gym_id, email) select id, n || '@gym.test' from gyms, generate_series(1, 30) n").await;
    post.resend.always(Some(BUSY));

    let reply = post.app.operate(JOB, "").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(post.resend.calls().len(), 10);
    assert_eq!(reply.results()["emails_waiting"], 32);
}
