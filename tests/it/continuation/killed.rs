//! Killed between any two steps, stopped, or delivered again: the rest is asked for once.

use super::*;
use crate::processes::{Process, until};

/// A message whose run was settled as partial while QStash was away.
async fn settled_and_not_continued(connected: &Connected) -> Delivery {
    a_backlog(connected, 40).await;
    connected.qstash.fault("POST", PUBLISH, Fault::Status(503));
    let delivery = Delivery::of(JOB);
    let reply = delivery.to(&connected.app).await;
    assert_eq!(
        not_continued(&reply),
        (&json!(false), "unpublished"),
        "{reply:?}"
    );
    delivery
}

#[tokio::test]
async fn a_redelivery_publishes_what_was_not_published_and_then_no_more() {
    let connected = pressed_for_time().await;
    let delivery = settled_and_not_continued(&connected).await;

    let again = delivery.to(&connected.app).await;

    assert_eq!(again.outcome(), (200, "replayed"), "{again:?}");
    assert_eq!(again.body["continued"], true);
    let message = connected.qstash.messages().pop().unwrap();
    // Not even when QStash has forgotten it.
    connected.qstash.ten_minutes_pass();
    let once_more = delivery.to(&connected.app).await;
    assert_eq!(once_more.body["continued"], true);
    assert_eq!(once_more.body["continuation_message_id"], message.id);
    assert_eq!(connected.qstash.messages().len(), 1);
}

#[tokio::test]
async fn a_redelivery_publishes_nothing_when_a_run_shows_that_it_was_published() {
    let mut connected = pressed_for_time().await;
    let delivery = settled_and_not_continued(&connected).await;
    let reply = delivery.to(&connected.app).await;
    let message = connected.qstash.messages().pop().unwrap();
    hurry(&mut connected);
    connected.hand_over(&message).await;
    // As if the process had been killed before it noted the message.
    connected
        .app
        .execute("update job_runs set published = '{}'")
        .await;
    connected.qstash.ten_minutes_pass();

    let again = delivery.to(&connected.app).await;

    assert_eq!(again.body["run_id"], reply.body["run_id"]);
    assert_eq!(again.body["continued"], true, "{again:?}");
    assert_eq!(connected.qstash.messages().len(), 1);
}

#[tokio::test]
async fn two_redeliveries_at_once_make_one_message() {
    let connected = pressed_for_time().await;
    let delivery = settled_and_not_continued(&connected).await;
    let again = futures::future::join_all((0..5).map(|_| delivery.to(&connected.app))).await;
    for reply in again {
        assert_eq!(reply.body["continued"], true, "{reply:?}");
    }
    assert_eq!(connected.qstash.messages().len(), 1);
}

#[rstest]
#[case::before_qstash_had_it(Fault::Hang(Duration::from_mins(1)), 0)]
#[case::before_it_was_noted(Fault::HangAfterEffect(Duration::from_mins(1)), 1)]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_while_it_publishes(#[case] fault: Fault, #[case] published: usize) {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    a_backlog(&connected, 40).await;
    connected.qstash.fault("POST", PUBLISH, fault);
    let process = Process::serve(app).await;
    let delivery = Delivery::of(JOB);
    let answer = process.delivering(&delivery);
    until("QStash is asked", async || {
        !connected.qstash.calls().is_empty()
    })
    .await;
    assert_eq!(
        statuses(app).await,
        ["partial"],
        "published before it was settled"
    );
    process.kill().await;
    assert!(answer.await.unwrap().is_err());
    assert_eq!(connected.qstash.messages().len(), published);

    let other = Process::serve(app).await;
    let again = other.address.redeliver(&delivery).await.unwrap();

    assert_eq!(again.outcome(), (200, "replayed"), "{again:?}");
    assert_eq!(again.body["continued"], true);
    assert_eq!(connected.qstash.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopping_process_leaves_another_continues() {
    let connected = Connected::new().await;
    let app = &connected.app;
    app.stale_orders(600, 3).await;
    app.open_intents_for_all().await;
    let (one, other) = tokio::join!(Process::serve(app), Process::serve(app));
    let answer = one.delivering(&Delivery::of(JOB));
    until("a batch is done", async || {
        app.count("select count(*) from orders where status = 'EXPIRED'")
            .await
            > 0
    })
    .await;

    let exit = one.terminate().await;

    assert!(exit.success(), "{exit}");
    let reply = answer.await.unwrap().unwrap();
    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.body["continued"], true);
    connected.deliver_to(&[other.address.url()]);
    connected.until_all_is_delivered().await;
    assert_each_expired_once(app, 600, 600, "by another process").await;
    assert_eq!(statuses(app).await, ["partial", "succeeded"]);
}
