//! QStash is away, refuses, or its answer is lost.

use super::*;

#[rstest]
#[case::fails(Fault::Status(500))]
#[case::limits(Fault::Status(429))]
#[case::hangs(Fault::Hang(Duration::from_mins(2)))]
#[case::breaks_off(Fault::Disconnect)]
#[tokio::test]
async fn when_qstash_is_away_the_run_is_settled_all_the_same(#[case] fault: Fault) {
    let connected = in_a_second().await;
    a_backlog(&connected, 40).await;
    connected.qstash.always("POST", PUBLISH, fault);

    let reply = timeout(Duration::from_mins(1), connected.app.deliver(JOB)).await;

    let reply = reply.expect("the answer waits for QStash");
    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(not_continued(&reply), (&json!(false), "unpublished"));
    assert_eq!(statuses(&connected.app).await, ["partial"]);
}

#[rstest]
#[case::unknown("unknown-token")]
#[case::of_another_region(ELSEWHERE_TOKEN)]
#[tokio::test]
async fn with_a_wrong_token_the_next_tick_goes_on(#[case] token: &str) {
    let connected = Connected::with(&[("RUN_BUDGET_SECONDS", "1"), ("QSTASH_TOKEN", token)]).await;
    a_backlog(&connected, 40).await;
    let reply = connected.app.deliver(JOB).await;
    assert_eq!(
        not_continued(&reply),
        (&json!(false), "unpublished"),
        "{reply:?}"
    );
    assert_eq!(connected.qstash.messages().len(), 0);
}

#[tokio::test]
async fn an_answer_of_qstash_that_is_lost_makes_no_second_message() {
    let connected = in_a_second().await;
    a_backlog(&connected, 40).await;
    connected
        .qstash
        .fault("POST", PUBLISH, Fault::DisconnectAfterEffect);

    let reply = connected.app.deliver(JOB).await;

    assert_eq!(reply.body["continued"], true, "{reply:?}");
    let messages = connected.qstash.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(reply.body["continuation_message_id"], messages[0].id);
}
