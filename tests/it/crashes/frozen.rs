//! A runner that is stopped past its lease and woken after another has finished its work.

use std::collections::BTreeMap;
use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use serde_json::Value;
use tokio::time::sleep;

use super::exactly::{
    WAITING, assert_each_expired_once, expired, hold_stock, is_running, statuses, was_asked_about,
};
use super::number_below;
use crate::app::{App, Delivery, JOB};
use crate::processes::{Awaited, Process, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_frozen_while_it_waits_for_stripe_commits_nothing_after_another_has_finished() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "1")]).await;
    app.stale_orders(300, 3).await;
    app.open_intents_for_all().await;
    let intent = intent_of_the_second_batch(&app).await;
    let hang = Fault::Hang(Duration::from_secs(2));
    app.stripe.fault(Operation::Retrieve, &intent, hang);
    let delivery = Delivery::of(JOB);
    let frozen = Process::serve(&app).await;
    let answer = frozen.delivering(&delivery);
    until("Stripe is asked", async || was_asked_about(&app, &intent)).await;
    frozen.signal("STOP").await;

    finish_elsewhere_and_wake(&app, &frozen, answer, &delivery, "awaiting Stripe").await;

    assert_each_expired_once(&app, 300 + 50, 300, "awaiting Stripe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_frozen_inside_a_batch_loses_its_locks_and_commits_nothing() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "1")]).await;
    app.stale_orders(300, 3).await;
    let delivery = Delivery::of(JOB);
    let frozen = Process::serve(&app).await;
    let held = hold_stock(&app).await;
    let answer = frozen.delivering(&delivery);
    until("a batch waits", async || app.count(WAITING).await == 1).await;
    frozen.signal("STOP").await;
    held.rollback().await.unwrap();
    let idle = "select count(*) from pg_stat_activity
                 where datname = current_database() and state = 'idle in transaction'";
    until("the batch lies idle", async || app.count(idle).await >= 1).await;

    finish_elsewhere_and_wake(&app, &frozen, answer, &delivery, "inside a batch").await;

    assert_each_expired_once(&app, 300 + 50, 0, "inside a batch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_frozen_at_any_moment_commits_nothing_after_another_has_finished() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "1")]).await;
    app.stale_orders(1_500, 3).await;
    app.open_intents_for_all().await;
    let (goal, pause) = (number_below(1_000), number_below(120));
    let how = format!("frozen {pause} ms after {goal} were expired");
    let delivery = Delivery::of(JOB);
    let frozen = Process::serve(&app).await;
    let answer = frozen.delivering(&delivery);
    until("the run has come that far", async || {
        is_running(&app, 1).await && expired(&app).await >= goal.into()
    })
    .await;
    sleep(Duration::from_millis(pause.into())).await;
    frozen.signal("STOP").await;

    finish_elsewhere_and_wake(&app, &frozen, answer, &delivery, &how).await;

    assert_each_expired_once(&app, 1_500 + 50, 1_500, &how).await;
}

/// The delivery comes again to another process, which finishes the work. Then
/// the frozen one is woken: although 50 more orders wait, it must do nothing
/// but say that it was too late. They are left to the next delivery.
async fn finish_elsewhere_and_wake(
    app: &App,
    frozen: &Process,
    answer: Awaited,
    delivery: &Delivery,
    how: &str,
) {
    let other = Process::serve(app).await;
    let reply = other.address.redeliver(delivery).await.unwrap();
    assert_eq!(reply.outcome(), (200, "succeeded"), "{how}: {reply:?}");
    app.stale_orders(50, 3).await;
    let before = everything(app).await;

    frozen.signal("CONT").await;

    let late = answer.await.unwrap().unwrap();
    assert_eq!(late.outcome(), (409, "fenced"), "{how}: {late:?}");
    assert!(late.headers.contains_key("retry-after"), "{how}: {late:?}");
    assert_eq!(everything(app).await, before, "{how}");
    assert_eq!(statuses(app).await, ["abandoned", "succeeded"], "{how}");
    let next = other.address.deliver(&Delivery::of(JOB)).await.unwrap();
    assert_eq!(next.outcome(), (200, "succeeded"), "{how}: {next:?}");
    assert_eq!(next.results()["orders_expired"], 50, "{how}: {next:?}");
}

/// Every row, who holds the lease, and the ledger: a run that was found
/// abandoned is settled, and is written once.
async fn everything(app: &App) -> (BTreeMap<String, String>, Value, Value) {
    let sums = app.checksums().await;
    let leases = app.rows("select * from job_leases").await;
    (
        sums,
        leases,
        app.rows("select * from job_runs order by id").await,
    )
}

async fn intent_of_the_second_batch(app: &App) -> String {
    sqlx::query_scalar(
        "select p.stripe_payment_intent_id
           from orders o
           join payment_intents p on p.order_id = o.id
          order by o.expires_at, o.id
         offset 150
          limit 1",
    )
    .fetch_one(&app.db)
    .await
    .unwrap()
}
