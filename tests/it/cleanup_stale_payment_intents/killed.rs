//! A process that is killed between any two lines.

use std::collections::BTreeSet;
use std::time::Duration;

use jarvis_cron::demo::stripe_double::Operation;
use serde_json::json;
use uuid::Uuid;

use super::CLEANUP;
use crate::app::{App, Delivery};
use crate::processes::{Process, until};

const CANCELED: &str = "select count(*) from payment_intents where status = 'canceled'";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_three_times_and_redelivered_ends_every_intent_once() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "1"), ("STRIPE_MAX_RPS", "10000")]).await;
    app.many_intents(1_500).await;
    let delivery = Delivery::of(CLEANUP);
    let moments = [(); 3].map(|()| (number_below(300), number_below(80)));
    let how = format!("killed when so many more were canceled, and ms after: {moments:?}");

    for (further, pause) in moments {
        let process = Process::serve(&app).await;
        let goal = app.count(CANCELED).await + i64::from(further) + 1;
        let answer = process.redelivering(&delivery);
        until("the run has come that far", async || {
            app.count(CANCELED).await >= goal
        })
        .await;
        tokio::time::sleep(Duration::from_millis(pause.into())).await;
        process.kill().await;
        assert!(answer.await.unwrap().is_err(), "answered when {how}");
        assert_nothing_half_done(&app, &how).await;
    }
    let process = Process::serve(&app).await;
    let reply = process.address.redeliver(&delivery).await.unwrap();

    assert_eq!(reply.outcome(), (200, "succeeded"), "{how}: {reply:?}");
    assert_eq!(app.count(CANCELED).await, 1_500, "{how}");
    assert_nothing_half_done(&app, &how).await;
    let effects = app.stripe.cancel_effects();
    assert_eq!(effects.len(), 1_500, "{how}");
    assert!(effects.values().all(|times| *times == 1), "{how}");
    // No second key either, which would be a second cancel to Stripe.
    let calls = app.stripe.calls();
    let cancels = calls
        .iter()
        .filter(|call| call.operation == Some(Operation::Cancel));
    let keys: BTreeSet<_> = cancels.map(|call| &call.idempotency_key).collect();
    assert_eq!(keys.len(), 1_500, "{how}");
}

/// Each canceled row has its event, and the ledger counts what is canceled,
/// whichever died.
async fn assert_nothing_half_done(app: &App, how: &str) {
    let found = app
        .rows(
            "select count(*) - (select count(*) from audit_events) as without_event,
                    count(*) - (select coalesce(sum((results ->> 'payment_intents_canceled')::int
                                                  + (results ->> 'payments_updated')::int), 0)
                                  from job_runs) as uncounted
               from payment_intents
              where status = 'canceled'",
        )
        .await;
    let expected = json!([{ "without_event": 0, "uncounted": 0 }]);
    assert_eq!(found, expected, "{how}");
}

/// Another one in each run of the test; a failure tells it.
fn number_below(limit: u32) -> u32 {
    Uuid::new_v4().as_fields().0 % limit
}
