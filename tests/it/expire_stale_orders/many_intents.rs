//! Orders with more intents than one run can ask about.

use jarvis_cron::demo::stripe_double::Intent;
use rstest::rstest;
use uuid::Uuid;

use crate::app::{App, JOB};
use crate::payments::OPEN;

/// So many calls are spent on one order in one run.
const PER_RUN: usize = 100;

/// An order overdue for longer than any other, with so many intents of that status.
async fn laden(app: &App, intents: i32, at_stripe: &str) -> (Uuid, Vec<String>) {
    let order = app.stale_order().await;
    app.execute("update orders set expires_at = now() - interval '1 day'")
        .await;
    let ids: Vec<String> = sqlx::query_scalar(
        "insert into payment_intents (order_id, stripe_payment_intent_id, status, amount)
         select $1, 'pi_laden_' || n, $3, 1000
           from generate_series(1, $2) n
         returning stripe_payment_intent_id",
    )
    .bind(order)
    .bind(intents)
    .bind(OPEN)
    .fetch_all(&app.db)
    .await
    .unwrap();
    app.stripe
        .add_all(ids.iter().map(|id| Intent::new(id, at_stripe)));
    (order, ids)
}

/// Runs until the order is no longer unpaid; answers how many runs that took.
async fn runs_until_it_ends(app: &App, order: Uuid) -> usize {
    for run in 1..=20 {
        let calls = app.stripe.calls().len();
        let reply = app.deliver(JOB).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let spent = app.stripe.calls().len() - calls;
        assert!(spent <= PER_RUN + 20, "run {run} made {spent} calls");
        if app.order_status(order).await != "PENDING" {
            return run;
        }
        assert!(spent > 0, "run {run} did nothing, and the order waits");
        app.wait_no_longer().await;
    }
    panic!("{}", app.story(order).await);
}

#[rstest]
#[case::one_less_than_a_run_reads(PER_RUN / 2)]
#[case::as_many_as_a_run_reads(PER_RUN)]
#[case::one_more(PER_RUN + 1)]
#[case::three_runs_and_more(3 * PER_RUN)]
#[tokio::test]
async fn an_order_expires_however_many_intents_it_has(#[case] intents: usize) {
    let app = App::new().await;
    let (order, ids) = laden(&app, i32::try_from(intents).unwrap(), OPEN).await;

    runs_until_it_ends(&app, order).await;

    assert_eq!(app.order_status(order).await, "EXPIRED");
    assert_eq!(app.stripe.cancel_effects().len(), ids.len());
    assert_eq!(app.stripe.max_effective_cancels(), 1);
    let noted = "select count(*) from audit_events where event_type = 'local.payment.canceled'";
    assert_eq!(app.count(noted).await, i64::try_from(intents).unwrap());
}

#[tokio::test]
async fn it_starves_no_order_behind_it() {
    let app = App::with(&[("RUN_BUDGET_SECONDS", "2"), ("STRIPE_MAX_RPS", "100")]).await;
    let (laden, _) = laden(&app, 300, OPEN).await;
    let (behind, _) = app.stale_order_with_intent(OPEN, Some(OPEN)).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(app.order_status(behind).await, "EXPIRED", "{reply:?}");
    assert_eq!(app.order_status(laden).await, "PENDING");
}

#[tokio::test]
async fn what_stripe_said_is_written_in_each_run_and_the_next_goes_on_behind_it() {
    // A run has time for some thirty calls.
    let app = App::with(&[("RUN_BUDGET_SECONDS", "1"), ("STRIPE_MAX_RPS", "30")]).await;
    let (_, ids) = laden(&app, 90, OPEN).await;
    let written = "select count(*) from payment_intents where last_synced_at is not null";
    let mut before = 0;

    for run in 1.. {
        app.deliver(JOB).await;
        let now = app.count(written).await;
        assert!(now > before, "run {run} wrote nothing: {now} are written");
        if usize::try_from(now) == Ok(ids.len()) {
            break;
        }
        before = now;
        app.wait_no_longer().await;
    }

    let first_asked = app.stripe.calls();
    let asked_twice = first_asked.len().saturating_sub(ids.len());
    // What was in flight when the budget was spent is asked about again, and the last run cancels.
    assert!(asked_twice < 60, "{asked_twice} of {}", ids.len());
}

#[rstest]
#[case::paid("succeeded", "paid")]
#[case::held("requires_capture", "authorized")]
#[case::processing("processing", "processing")]
#[tokio::test]
async fn money_under_the_last_of_many_keeps_them_all(#[case] status: &str, #[case] outcome: &str) {
    let app = App::new().await;
    let (order, ids) = laden(&app, 250, OPEN).await;
    // The job goes by the ids of our rows.
    app.execute(
        "update payment_intents set id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
          where stripe_payment_intent_id = 'pi_laden_77'",
    )
    .await;
    app.stripe.set_status("pi_laden_77", status);

    for _ in 0..5 {
        app.deliver(JOB).await;
        app.wait_no_longer().await;
    }

    assert_eq!(app.ends(), 0, "of {} intents some were ended", ids.len());
    let story = app.story(order).await;
    assert!(story.starts_with("PENDING; reserved 3, ACTIVE"), "{story}");
    assert!(story.contains(outcome), "{story}");
}

#[tokio::test]
async fn an_intent_paid_after_it_was_read_keeps_its_order() {
    let app = App::new().await;
    let (order, _) = laden(&app, 250, OPEN).await;
    let read = "select stripe_payment_intent_id as id from payment_intents
                 where last_synced_at is not null order by id limit 1";
    app.deliver(JOB).await;
    let read = app.rows(read).await;
    let first = read[0]["id"]
        .as_str()
        .expect("nothing was written")
        .to_owned();
    app.stripe.set_status(&first, "succeeded");

    for _ in 0..12 {
        app.wait_no_longer().await;
        app.deliver(JOB).await;
    }

    let story = app.story(order).await;
    assert!(story.starts_with("PENDING; reserved 3, ACTIVE"), "{story}");
    assert!(story.contains("order_paid_unsettled"), "{story}");
}

#[tokio::test]
async fn a_run_over_many_that_will_not_end_is_alerted() {
    let app = App::new().await;
    let (order, ids) = laden(&app, 150, OPEN).await;
    let refused = jarvis_cron::demo::stripe_double::Fault::status(400);
    let cancel = jarvis_cron::demo::stripe_double::Operation::Cancel;
    for _ in 0..30 {
        app.stripe.fault(cancel, &ids[0], refused.clone());
    }

    for _ in 0..8 {
        app.deliver(JOB).await;
        app.wait_no_longer().await;
    }

    let story = app.story(order).await;
    assert!(story.starts_with("PENDING; reserved 3, ACTIVE"), "{story}");
    assert!(story.contains("alert order_expiry_stuck"), "{story}");
}

#[tokio::test]
async fn orders_that_one_run_could_read_but_not_side_by_side_are_gone_on_with_too() {
    // A run has time for some thirty calls, and eight orders are read at the same time.
    let app = App::with(&[("RUN_BUDGET_SECONDS", "1"), ("STRIPE_MAX_RPS", "30")]).await;
    let orders = app.stale_orders(8, 1).await;
    for order in &orders {
        for _ in 0..12 {
            app.intent(*order, OPEN, Some(OPEN)).await;
        }
    }
    let settled = "select count(*) from payment_intents where last_synced_at is not null";
    let mut before = 0;

    for run in 1..=4 {
        app.deliver(JOB).await;
        let now = app.count(settled).await;
        assert!(now > before, "run {run} wrote nothing: {now} are written");
        before = now;
        app.wait_no_longer().await;
        if now == 96 {
            break;
        }
    }
}
