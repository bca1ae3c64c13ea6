//! The order of the rows: a budget that never suffices, and rows that always fail.

use std::collections::BTreeSet;

use jarvis_cron::demo::stripe_double::{Fault, Operation};

use super::{CLEANUP, OPEN};
use crate::app::App;

/// An error that no retry of the same run changes.
const FAILS: Fault = Fault::Status {
    status: 503,
    code: None,
    should_retry: Some(false),
    retry_after: None,
};

/// A run of this budget asks about a hundred intents or so.
const TIGHT: [(&str, &str); 2] = [("RUN_BUDGET_SECONDS", "1"), ("STRIPE_MAX_RPS", "100")];

#[tokio::test]
async fn three_hundred_that_always_fail_do_not_starve_the_next() {
    let app = App::with(&TIGHT).await;
    for intent in app.many_intents(300).await {
        for _ in 0..20 {
            app.stripe.fault(Operation::Retrieve, &intent, FAILS);
        }
    }
    let poor = app.intent_of("no order", 8, OPEN, Some(OPEN)).await;

    let mut runs = 0;
    while app.stripe.effective_cancels(&poor) == 0 {
        let reply = app.deliver(CLEANUP).await;
        assert_eq!(reply.outcome().0, 200, "{reply:?}");
        runs += 1;
        assert!(runs < 20, "it had no turn in {runs} runs");
    }

    // Else the budget was not tight, and nothing is shown.
    assert!(runs > 1, "one run did them all");
    let failing = "select count(*) from payment_intents
                    where status = 'requires_payment_method' and last_synced_at is null";
    assert_eq!(app.count(failing).await, 300);
}

#[tokio::test]
async fn a_spent_budget_leaves_the_rest_to_the_next_run_which_does_not_begin_anew() {
    let app = App::with(&TIGHT).await;
    app.many_intents(150).await;

    let first = app.deliver(CLEANUP).await;

    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    let done = first.results()["payment_intents_canceled"]
        .as_i64()
        .unwrap();
    assert!((1..150).contains(&done), "{done}");
    let mut canceled = done;
    for _ in 0..20 {
        let next = app.deliver(CLEANUP).await;
        canceled += next.results()["payment_intents_canceled"].as_i64().unwrap();
        canceled += next.results()["payments_updated"].as_i64().unwrap();
        if next.outcome() == (200, "succeeded") {
            break;
        }
    }
    assert_eq!(canceled, 150);
    assert_eq!(app.stripe.max_effective_cancels(), 1);
    assert_eq!(app.count("select count(*) from audit_events").await, 150);
}

#[tokio::test]
async fn a_run_does_not_begin_with_what_the_last_one_left_alone() {
    let app = App::with(&TIGHT).await;
    let all = app.many_intents(300).await;
    for intent in &all {
        app.stripe.set_status(intent, "processing");
    }
    let asked = || -> BTreeSet<String> {
        let calls = app.stripe.calls().into_iter();
        calls.filter_map(|call| call.intent).collect()
    };

    let mut seen = 0;
    while seen < all.len() {
        app.deliver(CLEANUP).await;
        let calls = app.stripe.calls().len();
        assert!(asked().len() > seen, "a run asked about nothing new");
        seen = asked().len();
        // What was in flight when the budget was spent is asked about twice.
        assert!(calls < all.len() + 100, "{calls} calls");
    }
}

#[tokio::test]
async fn those_let_lie_longest_come_first() {
    let app = App::new().await;
    let all = app.many_intents(6).await;
    app.execute(
        "update payment_intents set updated_at = now() - interval '20 days'
          where stripe_payment_intent_id = 'pi_many_5'",
    )
    .await;

    app.operate(CLEANUP, "limit=2&batch_size=1").await;

    assert_eq!(app.stripe.effective_cancels(&all[4]), 1);
    assert_eq!(app.stripe.effective_cancels(&all[0]), 1);
    assert_eq!(app.stripe.cancel_effects().len(), 2);
}
