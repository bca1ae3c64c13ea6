//! Runs that overlap, crash, freeze or lose what they need: whatever happens, every order is
//! expired once, and nothing is left half done.

use std::time::Duration;

use futures::future::join_all;
use jarvis_cron::demo::stripe_double::{Fault, Operation};
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::app::{App, Delivery, JOB, Reply};
use crate::processes::{Process, until};

mod connections;
pub(crate) mod exactly;
mod frozen;
mod postgres;
mod stopped;

use exactly::{assert_each_expired_once, assert_nothing_half_done, expired, is_running, statuses};

#[tokio::test(flavor = "multi_thread")]
async fn four_deliveries_at_once_to_two_processes_expire_every_order_once() {
    let app = App::new().await;
    let orders = app.stale_orders(2_000, 3).await;
    let intent = app.intent(orders[0], OPEN, Some(OPEN)).await;
    // The run that wins is still waiting here when the three others are decided.
    let long_enough = Fault::Hang(Duration::from_secs(5));
    app.stripe.fault(Operation::Retrieve, &intent, long_enough);
    let (one, two) = tokio::join!(Process::serve(&app), Process::serve(&app));

    let deliveries = [&one, &two, &one, &two].map(|it| it.delivering(&Delivery::of(JOB)));
    let replies = join_all(deliveries).await;

    let replies: Vec<_> = replies.into_iter().map(|it| it.unwrap().unwrap()).collect();
    let mut outcomes: Vec<_> = replies.iter().map(Reply::outcome).collect();
    outcomes.sort_unstable();
    let skipped = (200, "skipped");
    let expected = [skipped, skipped, skipped, (200, "succeeded")];
    assert_eq!(outcomes, expected, "{replies:#?}");
    assert_each_expired_once(&app, 2_000, 1, "four at once").await;
    let mut statuses = statuses(&app).await;
    statuses.sort_unstable();
    assert_eq!(statuses, ["skipped", "skipped", "skipped", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shards_at_once_in_two_processes_share_their_stock_levels() {
    let app = App::new().await;
    app.stale_orders(2_000, 3).await;
    app.execute(SHARE_FIVE_LEVELS).await;
    let (one, two) = tokio::join!(Process::serve(&app), Process::serve(&app));

    let shard = |of: &Process, body| of.delivering(&Delivery::of(JOB).body(body));
    let deliveries = [
        shard(&one, r#"{"shard": "0/2", "batch_size": 20}"#),
        shard(&two, r#"{"shard": "1/2", "batch_size": 20}"#),
    ];
    let replies = join_all(deliveries).await;

    for reply in replies.into_iter().map(|reply| reply.unwrap().unwrap()) {
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        assert_ne!(reply.results()["orders_expired"], 0, "{reply:?}");
        assert_eq!(reply.results()["errors"], json!([]), "{reply:?}");
    }
    assert_each_expired_once(&app, 2_000, 0, "two shards").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_five_times_and_redelivered_ends_with_every_order_expired_once() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "1"), ("STRIPE_MAX_RPS", "10000")]).await;
    app.stale_orders(1_500, 3).await;
    app.open_intents_for_all().await;
    let moments = [(); 5].map(|()| (number_below(150), number_below(80)));
    let how = format!("killed when so many more were expired, and ms after: {moments:?}");
    let delivery = Delivery::of(JOB);

    for (attempt, (further, pause)) in (1..).zip(moments) {
        let process = Process::serve(&app).await;
        let goal = expired(&app).await + i64::from(further);
        let answer = process.redelivering(&delivery);
        until("the run has come that far", async || {
            is_running(&app, attempt).await && expired(&app).await >= goal
        })
        .await;
        sleep(Duration::from_millis(pause.into())).await;
        process.kill().await;
        assert!(answer.await.unwrap().is_err(), "answered when {how}");
        assert_nothing_half_done(&app, &how).await;
    }
    let process = Process::serve(&app).await;
    let reply = process.address.redeliver(&delivery).await.unwrap();

    assert_eq!(reply.outcome(), (200, "succeeded"), "{how}: {reply:?}");
    assert_each_expired_once(&app, 1_500, 1_500, &how).await;
    let (killed, last) = ("abandoned", "succeeded");
    let expected = [killed, killed, killed, killed, killed, last];
    assert_eq!(statuses(&app).await, expected, "{how}");
}

/// What Stripe calls an intent that waits for its customer.
const OPEN: &str = "requires_payment_method";

/// Orders that wait for each other's stock.
const SHARE_FIVE_LEVELS: &str = "
    with numbered as (select id, row_number() over (order by id) as n from stock_levels)
    update stock_reservations r
       set stock_level_id = numbered.id
      from numbered
     where numbered.n = 1 + abs(hashtext(r.id::text)::bigint) % 5;
    update stock_levels s
       set on_hand = 100000,
           reserved = (select coalesce(sum(quantity), 0)
                         from stock_reservations r
                        where r.stock_level_id = s.id)";

/// Another one in each run of the test; a failure tells it.
fn number_below(limit: u32) -> u32 {
    Uuid::new_v4().as_fields().0 % limit
}
