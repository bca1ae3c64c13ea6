//! Postgres crashes and is back in a moment, while the service lives: each of
//! the six jobs, at each kind of moment.
//!
//! A crash undoes what no commit waited for. Whatever it was, each answer says
//! what is there, the message is redelivered for as long as it is to come
//! back, and in the end everything is done once.

use std::time::Duration;

use rstest::rstest;
use sqlx::{Connection, PgConnection};

use crate::app::{Delivery, Reply};
use crate::messages::of;

mod agreement;
mod ends;
mod gate;
mod latch;
mod pooler;
mod server;
mod shop;
mod stage;
mod standby;
mod work;

use agreement::{assert_all_agree, assert_all_is_done_once};
use gate::Side;
use pooler::Seen;
use server::Server;
use stage::Stage;
use work::Work;

#[tokio::test(flavor = "multi_thread")]
async fn what_no_commit_waited_for_is_lost_in_a_crash_and_nothing_else() {
    let mut server = Server::start().await;
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    // Each text is a transaction of its own.
    for write in [
        "create table noted as select 'kept' as word",
        "set synchronous_commit = off",
        "insert into noted values ('lost')",
    ] {
        sqlx::raw_sql(write).execute(&mut connection).await.unwrap();
    }
    let words = "select array(select word from noted order by word)";
    let before: Vec<String> = sqlx::query_scalar(words)
        .fetch_one(&mut connection)
        .await
        .unwrap();

    server.crash();
    server.come_back().await;

    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    let after: Vec<String> = sqlx::query_scalar(words)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(before, ["kept", "lost"]);
    assert_eq!(after, ["kept"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_two_batches_is_a_503_and_the_redelivery_does_it_all(
    #[values(
        Work::Orders,
        Work::Intents,
        Work::Members,
        Work::Kiosks,
        Work::OldRows,
        Work::Reports
    )]
    work: Work,
    #[values(Seen::Nothing, Seen::ABreak)] seen: Seen,
) {
    let stage = Stage::new(work, seen).await;
    let held = stage.to_postgres.close_at(work.batch(), 2, Side::Answer);
    let delivery = stage.delivery();

    let (first, undid) = stage.deliver_into_a_crash(&delivery, &held, 0).await;

    assert!(undid, "the crash undid nothing");
    assert_is_to_come_back(&first);
    finish(&stage, &delivery, first, "succeeded").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_stripe_is_awaited_is_a_503_and_the_redelivery_does_it_all(
    #[values(Work::Orders, Work::Intents)] work: Work,
    #[values(Side::Call, Side::Answer)] side: Side,
    #[values(Seen::Nothing, Seen::ABreak)] seen: Seen,
) {
    let stage = Stage::new(work, seen).await;
    // Two are in the first batch.
    let held = stage.to_stripe.close_at("/cancel", 3, side);
    let delivery = stage.delivery();

    let (first, undid) = stage.deliver_into_a_crash(&delivery, &held, 0).await;

    assert!(undid, "the crash undid nothing");
    assert_is_to_come_back(&first);
    finish(&stage, &delivery, first, "succeeded").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_stripe_notices_a_crash_before_the_answer_comes(
    #[values(Work::Orders, Work::Intents)] work: Work,
) {
    let mut stage = Stage::new(work, Seen::Nothing).await;
    stage.app.runner.settings.lease_ttl = Duration::from_millis(300);
    stage.open_for_calls();
    let held = stage.to_stripe.close_at("/cancel", 3, Side::Call);
    let delivery = stage.delivery();
    let crash = async {
        held.reached().await;
        let undid = stage.crash().await;
        (undid, stage.app.stripe.calls().len())
    };

    let (first, (undid, calls)) = tokio::join!(delivery.to(&stage.app), crash);

    // A call that it had waited for in vain would have been tried again.
    assert_eq!(stage.app.stripe.calls().len(), calls);
    held.open();
    assert!(undid, "the crash undid nothing");
    assert_is_to_come_back(&first);
    finish(&stage, &delivery, first, "succeeded").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_resend_is_awaited_mails_nobody_twice_and_leaves_nobody_out(
    // In the first and in the second ten of twelve.
    #[values(1, 11)] nth: usize,
    #[values(Side::Call, Side::Answer)] side: Side,
    #[values(Seen::Nothing, Seen::ABreak)] seen: Seen,
) {
    let stage = Stage::new(Work::Reports, seen).await;
    let held = stage.to_resend.close_at("POST /emails", nth, side);
    let delivery = stage.delivery();

    let (first, undid) = stage.deliver_into_a_crash(&delivery, &held, 0).await;

    let begun = "select count(*) from report_deliveries where attempts > 0";
    let begun = usize::try_from(stage.app.count(begun).await).unwrap();
    assert!(
        begun >= stage.resend.sent().len(),
        "a mail rests on nothing"
    );
    if undid || first.status != 200 {
        assert_is_to_come_back(&first);
        finish(&stage, &delivery, first, "succeeded").await;
    } else {
        finish(&stage, &delivery, first, "replayed").await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_continuation_is_published_loses_and_doubles_none_of_the_rest(
    #[values(
        Work::Orders,
        Work::Intents,
        Work::Members,
        Work::Kiosks,
        Work::OldRows,
        Work::Reports
    )]
    work: Work,
    #[values(Side::Call, Side::Answer)] side: Side,
) {
    let mut stage = Stage::new(work, Seen::ABreak).await;
    let batch = stage.to_postgres.close_at(work.batch(), 1, Side::Answer);
    let published = stage.to_qstash.close_at("POST /v2/publish", 1, side);
    let delivery = stage.delivery();
    let stop_after_a_batch = async {
        batch.reached().await;
        stage.app.runner.stop.cancel();
        batch.open();
    };
    let first = stage.deliver_into_a_crash(&delivery, &published, 0);

    let ((first, undid), ()) = tokio::join!(first, stop_after_a_batch);

    assert!(!undid, "a crash undid what was settled");
    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    assert_all_agree(&stage, std::slice::from_ref(&first)).await;
    stage.replace_the_process();
    let mut answers = stage.redeliver(&delivery).await;
    let again = answers.last().unwrap();
    assert_eq!(again.outcome(), (200, "replayed"), "{again:?}");
    assert_eq!(again.body["continued"], true, "{again:?}");
    let messages = stage.qstash.messages();
    assert_eq!(messages.len(), 1, "{messages:#?}");
    answers.extend(stage.redeliver(&of(&messages[0])).await);
    let last = answers.last().unwrap();
    assert_eq!(last.outcome(), (200, "succeeded"), "{last:?}");
    answers.push(first);
    assert_all_agree(&stage, &answers).await;
    assert_all_is_done_once(&stage).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_shards_are_published_loses_and_doubles_none_of_them(
    #[values(Side::Call, Side::Answer)] side: Side,
) {
    let stage = Stage::new(Work::Orders, Seen::ABreak).await;
    let published = stage.to_qstash.close_at("POST /v2/batch", 1, side);
    let delivery = Delivery::of(Work::Orders.job()).body(r#"{"fan_out": 2}"#);

    let (first, _) = stage.deliver_into_a_crash(&delivery, &published, 0).await;

    assert_all_agree(&stage, std::slice::from_ref(&first)).await;
    let mut answers = stage.redeliver(&delivery).await;
    let messages = stage.qstash.messages();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    for message in &messages {
        answers.extend(stage.redeliver(&of(message)).await);
        let last = answers.last().unwrap();
        assert_eq!(last.outcome(), (200, "succeeded"), "{last:?}");
    }
    answers.push(first);
    assert_all_agree(&stage, &answers).await;
    assert_all_is_done_once(&stage).await;
}

/// The run could not go on, and says so.
fn assert_is_to_come_back(answer: &Reply) {
    assert_eq!(answer.outcome(), (503, "failed"), "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
}

/// What was answered is so. The same message is delivered again, until it is
/// taken and answered as `expected`; then all work is done, once.
async fn finish(stage: &Stage, delivery: &Delivery, first: Reply, expected: &str) {
    assert_all_agree(stage, std::slice::from_ref(&first)).await;
    let mut answers = stage.redeliver(delivery).await;
    let last = answers.last().unwrap();
    assert_eq!(last.outcome(), (200, expected), "{last:?}");
    answers.push(first);
    assert_all_agree(stage, &answers).await;
    assert_all_is_done_once(stage).await;
}
