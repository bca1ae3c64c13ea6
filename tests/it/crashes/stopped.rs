//! A process that is stopped, and a caller that hangs up.

use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};

use super::exactly::{
    assert_each_expired_once, assert_nothing_half_done, expired, is_running, statuses,
    was_asked_about,
};
use crate::app::{App, Delivery, JOB};
use crate::processes::{Process, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_ends_its_batch_and_settles_the_run_as_partial() {
    let app = App::new().await;
    app.stale_orders(600, 3).await;
    app.open_intents_for_all().await;
    let process = Process::serve(&app).await;
    let answer = process.delivering(&Delivery::of(JOB));
    until("a batch is done", async || expired(&app).await > 0).await;

    let exit = process.terminate().await;

    assert!(exit.success(), "{exit}");
    let reply = answer.await.unwrap().unwrap();
    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert!(expired(&app).await < 600, "nothing was left to do");
    assert_nothing_half_done(&app, "stopped").await;
    finish_at_once(&app, 600, 600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_waits_for_no_call_that_hangs() {
    let app = App::new().await;
    let orders = app.stale_orders(40, 3).await;
    app.open_intents_for_all().await;
    let forever = Duration::from_secs(30);
    let [unread, uncancelled] = [orders[3], orders[7]].map(|it| format!("pi_{}", it.simple()));
    app.stripe
        .fault(Operation::Retrieve, &unread, Fault::Hang(forever));
    let fault = Fault::HangAfterEffect(forever);
    app.stripe.fault(Operation::Cancel, &uncancelled, fault);
    let process = Process::serve(&app).await;
    let answer = process.delivering(&Delivery::of(JOB));
    until("only the two calls that hang are left", async || {
        app.stripe.cancel_effects().len() == 39 && was_asked_about(&app, &unread)
    })
    .await;

    let exit = process.terminate().await;

    assert!(exit.success(), "{exit}");
    let reply = answer.await.unwrap().unwrap();
    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 38);
    assert_nothing_half_done(&app, "stopped").await;
    finish_at_once(&app, 40, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_ends_no_run() {
    let app = App::new().await;
    app.stale_orders(400, 3).await;
    app.open_intents_for_all().await;
    let process = Process::serve(&app).await;
    let answer = process.delivering(&Delivery::of(JOB));
    until("a batch is done", async || expired(&app).await > 0).await;

    answer.abort();

    assert!(answer.await.is_err_and(|gone| gone.is_cancelled()));
    assert!(is_running(&app, 1).await, "it had ended before");
    let is_over = async || !is_running(&app, 1).await;
    until("the run is settled", is_over).await;
    assert_eq!(statuses(&app).await, ["succeeded"]);
    assert_each_expired_once(&app, 400, 400, "hung up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_caller_hung_up_is_settled_before_its_process_stops() {
    let app = App::new().await;
    app.stale_orders(400, 3).await;
    app.open_intents_for_all().await;
    let process = Process::serve(&app).await;
    let answer = process.delivering(&Delivery::of(JOB));
    until("a batch is done", async || expired(&app).await > 0).await;
    answer.abort();

    let exit = process.terminate().await;

    assert!(exit.success(), "{exit}");
    assert_nothing_half_done(&app, "hung up, then stopped").await;
    finish_at_once(&app, 400, 400).await;
}

/// The run before was settled as partial and has freed its lease, so that
/// another process takes up the rest without waiting.
async fn finish_at_once(app: &App, orders: i64, intents: i64) {
    assert_eq!(statuses(app).await, ["partial"]);
    let other = Process::serve(app).await;
    let reply = other.address.deliver(&Delivery::of(JOB)).await.unwrap();
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_each_expired_once(app, orders, intents, "finished by another").await;
}
