//! QStash is away, refuses, or its answer is lost.

use super::*;
use crate::processes::until;

#[rstest]
#[case::fails(Fault::Status(500))]
#[case::limits(Fault::Status(429))]
#[case::hangs(Fault::Hang(Duration::from_mins(2)))]
#[case::breaks_off(Fault::Disconnect)]
#[tokio::test]
async fn when_qstash_is_away_the_run_is_settled_all_the_same(#[case] fault: Fault) {
    let connected = pressed_for_time().await;
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
    let connected = Connected::with(&[("RUN_BUDGET_SECONDS", "2"), ("QSTASH_TOKEN", token)]).await;
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
    let connected = pressed_for_time().await;
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

#[rstest]
#[case::when_its_budget_is_spent("2", false)]
#[case::when_it_is_told_to_stop("20", true)]
#[tokio::test]
async fn a_run_waits_for_an_answer_that_takes_more_than_half_a_second(
    #[case] budget: &str,
    #[case] is_stopped: bool,
) {
    let connected = Connected::with(&[("RUN_BUDGET_SECONDS", budget)]).await;
    a_backlog(&connected, 40).await;
    let late = Fault::HangAfterEffect(Duration::from_millis(700));
    connected.qstash.fault("POST", PUBLISH, late);

    let stop = async {
        if is_stopped {
            let expired = "select count(*) from orders where status = 'EXPIRED'";
            until("some orders have expired", async || {
                connected.app.count(expired).await > 0
            })
            .await;
            connected.app.runner.stop.cancel();
        }
    };
    let delivery = Delivery::of(JOB).body(r#"{"batch_size": 5}"#);
    let (reply, ()) = tokio::join!(delivery.to(&connected.app), stop);

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.body["continued"], true, "{reply:?}");
}
