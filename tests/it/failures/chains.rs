//! Runs that are continued: which alert the last of them resolves.

use std::time::Duration;

use super::*;
use crate::messages::Connected;

/// A schedule of the same job that is not deployed.
const OTHER: &str = "scd_7";

/// A service that cannot do all its work in one run.
async fn with_a_backlog() -> Connected {
    let connected = Connected::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    connected.app.stale_orders(40, 3).await;
    connected.app.open_intents_for_all().await;
    connected.app.stripe.latency(Duration::from_millis(150));
    connected
}

/// Lets the continuations do the rest, to its end.
async fn finish(connected: &Connected, first: Reply) {
    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    connected.app.stripe.latency(Duration::ZERO);
    let replies = connected.follow(first).await;
    assert_eq!(replies.last().unwrap().outcome(), (200, "succeeded"));
}

fn of_other(message: &str) -> Value {
    with(callback(message), &json!({ "scheduleId": OTHER }))
}

fn tick_of_other() -> Delivery {
    Delivery::of(JOB).header("upstash-schedule-id", OTHER)
}

/// What QStash tells of a message that continues this run.
fn continuing(message: &str, run: &Reply) -> Value {
    let options = json!({ "continuation_of": run.body["run_id"] }).to_string();
    let changes = json!({ "scheduleId": null, "sourceBody": STANDARD.encode(options) });
    with(callback(message), &changes)
}

#[tokio::test]
async fn a_chain_ends_the_alert_of_the_schedule_that_began_it() {
    let connected = with_a_backlog().await;
    let app = &connected.app;
    noted(app, &callback("msg_1")).await;
    noted(app, &of_other("msg_2")).await;

    let first = tick_of_other().to(app).await;
    finish(&connected, first).await;

    let open = app.rows("select dedup_key from alerts where status = 'open'");
    let left = json!([{ "dedup_key": format!("schedule_failing:{SCHEDULE}") }]);
    assert_eq!(open.await, left);
    // A late callback changes nothing.
    let late = json!({ "createdAt": 1_000_000_000_000_i64, "notBefore": null });
    assert_eq!(noted(app, &with(of_other("msg_3"), &late)).await, "mended");
    assert_eq!(noted(app, &with(callback("msg_4"), &late)).await, "bumped");
}

#[tokio::test]
async fn an_operators_chain_resolves_no_alert() {
    let connected = with_a_backlog().await;
    let app = &connected.app;
    noted(app, &callback("msg_1")).await;

    let first = app.operate(JOB, "limit=30").await;
    finish(&connected, first).await;

    assert_eq!(alerts(app).await, an_alert(SCHEDULE, "open", 1));
    let late = json!({ "createdAt": 1_000_000_000_000_i64, "notBefore": null });
    assert_eq!(noted(app, &with(callback("msg_2"), &late)).await, "bumped");
}

#[tokio::test]
async fn a_continuation_that_fails_counts_for_the_schedule_that_began_the_chain() {
    let connected = with_a_backlog().await;
    let app = &connected.app;
    let first = tick_of_other().to(app).await;
    assert_eq!(first.outcome(), (200, "partial"));
    assert_eq!(noted(app, &continuing("msg_1", &first)).await, "opened");
    assert_eq!(alerts(app).await, an_alert(OTHER, "open", 1));
    let row = app.rows("select schedule_id, counts_for from delivery_failures");
    assert_eq!(
        row.await,
        json!([{ "schedule_id": null, "counts_for": OTHER }])
    );

    finish(&connected, first).await;

    assert_eq!(alerts(app).await, an_alert(OTHER, "resolved", 1));
}

#[tokio::test]
async fn a_continuation_of_an_operators_run_that_fails_counts_for_the_jobs_schedule() {
    let connected = with_a_backlog().await;
    let app = &connected.app;
    let first = app.operate(JOB, "").await;
    assert_eq!(noted(app, &continuing("msg_1", &first)).await, "opened");
    assert_eq!(alerts(app).await, an_alert(SCHEDULE, "open", 1));
}
