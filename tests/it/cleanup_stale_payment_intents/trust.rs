//! What our rows say of a payment: it counts where our own sync wrote it, and for a while.

use jarvis_cron::demo::stripe_double::Intent;
use rstest::rstest;
use serde_json::json;

use super::{CLEANUP, OPEN};
use crate::app::App;

/// What becomes of the row, whatever it said: Stripe's status, or canceled where it may be ended.
fn expected(order: &str, at_stripe: &'static str) -> &'static str {
    let has_ended = ["EXPIRED", "CANCELED", "REFUNDED"].contains(&order);
    match at_stripe {
        "requires_capture" if has_ended => "canceled",
        "processing" | "requires_capture" | "succeeded" => at_stripe,
        _ => "canceled",
    }
}

#[rstest]
#[tokio::test]
async fn a_final_status_of_another_system_counts_as_open(
    #[values("canceled", "succeeded")] here: &str,
    #[values("no order", "overdue", "PAID", "EXPIRED", "REFUNDED")] order: &str,
) {
    let app = App::new().await;
    let mut intents = Vec::new();
    for at_stripe in [
        OPEN,
        "requires_confirmation",
        "requires_action",
        "processing",
        "requires_capture",
        "succeeded",
        "canceled",
    ] {
        let intent = app.intent_of(order, 8, here, Some(at_stripe)).await;
        intents.push((at_stripe, intent));
    }

    let reply = app.deliver(CLEANUP).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    for (at_stripe, intent) in &intents {
        let line = app.line(intent, here, &reply).await;
        let status = expected(order, at_stripe);
        assert!(
            line.starts_with(&format!("{status} | ")),
            "{at_stripe}: {line}"
        );
        assert_eq!(app.stripe.status(intent).as_deref(), Some(status));
        let is_unchanged = status == *at_stripe;
        assert_eq!(
            app.stripe.effective_cancels(intent),
            usize::from(!is_unchanged),
            "{at_stripe}"
        );
    }
    app.assert_another_run_changes_nothing(CLEANUP).await;
}

#[rstest]
#[tokio::test]
async fn a_final_status_of_an_order_that_can_still_be_paid_is_not_asked_about(
    #[values("in time", "never due")] order: &str,
    #[values("canceled", "succeeded", "missing")] here: &str,
) {
    let app = App::new().await;
    app.intent_of(order, 400, here, Some(OPEN)).await;

    app.deliver(CLEANUP).await;

    assert!(app.stripe.calls().is_empty());
}

#[rstest]
#[case::open(OPEN)]
#[case::canceled("canceled")]
#[case::processing("processing")]
#[tokio::test]
async fn money_that_our_row_has_and_stripe_has_not_is_alerted_once(#[case] at_stripe: &str) {
    let app = App::new().await;
    app.intent_of("no order", 8, "succeeded", Some(at_stripe))
        .await;

    app.deliver(CLEANUP).await;
    app.execute("update payment_intents set last_synced_at = last_synced_at - interval '2 hours'")
        .await;
    app.deliver(CLEANUP).await;

    let alerts = "select count(*) from alerts where kind = 'payment_status_corrected'";
    assert_eq!(app.count(alerts).await, 1);
    let noted =
        "select count(*) from audit_events where payload ->> 'previous_status' = 'succeeded'";
    assert!(app.count(noted).await > 0);
}

#[rstest]
#[case::canceled("canceled")]
#[case::succeeded("succeeded")]
#[tokio::test]
async fn a_final_status_of_our_own_sync_is_never_asked_about_again(#[case] at_stripe: &str) {
    let app = App::new().await;
    app.intent_of("no order", 8, OPEN, Some(at_stripe)).await;
    app.deliver(CLEANUP).await;
    app.execute(
        "update payment_intents
            set last_synced_at = last_synced_at - interval '1 year',
                updated_at = updated_at - interval '1 year'",
    )
    .await;
    let calls = app.stripe.calls().len();

    app.deliver(CLEANUP).await;

    assert_eq!(app.stripe.calls().len(), calls);
}

#[tokio::test]
async fn what_the_shop_wrote_over_our_sync_counts_no_longer() {
    let app = App::new().await;
    let intent = app.intent_of("no order", 8, OPEN, Some("processing")).await;
    app.deliver(CLEANUP).await;
    app.stripe.set_status(&intent, OPEN);
    app.shop_writes(&intent, "canceled").await;
    app.execute(
        "update payment_intents
            set last_synced_at = now() - interval '2 hours', updated_at = now() - interval '1 hour'",
    )
    .await;

    app.deliver(CLEANUP).await;

    assert_eq!(app.stripe.effective_cancels(&intent), 1);
}

#[tokio::test]
async fn both_jobs_over_rows_of_another_system_end_each_once() {
    let app = App::new().await;
    for here in ["canceled", "succeeded", "missing", OPEN] {
        for _ in 0..15 {
            app.intent_of("overdue", 8, here, Some(OPEN)).await;
        }
    }
    app.stripe.latency(std::time::Duration::from_millis(5));

    let (cleanup, expire) = tokio::join!(app.deliver(CLEANUP), app.deliver(crate::app::JOB));
    app.deliver(crate::app::JOB).await;

    assert_eq!(cleanup.outcome(), (200, "succeeded"), "{cleanup:?}");
    assert_eq!(expire.outcome(), (200, "succeeded"), "{expire:?}");
    let left = app
        .rows(
            "select o.status, p.status as intent, p.synced_status, p.last_error, x.last_outcome,
                    x.last_error as why, x.next_attempt_at, x.updated_at, x.seen
               from orders o
               join payment_intents p on p.order_id = o.id
               left join order_expirations x on x.order_id = o.id
              where o.status <> 'EXPIRED' or p.status <> 'canceled'",
        )
        .await;
    assert_eq!(left, json!([]));
    assert_eq!(app.stripe.cancel_effects().len(), 60);
    assert_eq!(app.stripe.max_effective_cancels(), 1);
    let ended = "select count(*) from orders o join payment_intents p on p.order_id = o.id
                  where o.status = 'EXPIRED' and p.status = 'canceled'";
    assert_eq!(app.count(ended).await, 60);
}

#[rstest]
#[case::after_more_than_a_week(Some("8 days"), true)]
#[case::within_the_week(Some("6 days"), false)]
#[case::that_another_system_wrote(None, true)]
#[tokio::test]
async fn an_intent_that_was_missing_is_asked_about_again(
    #[case] synced: Option<&str>,
    #[case] is_asked: bool,
) {
    let app = App::new().await;
    let intent = app.intent_of("EXPIRED", 60, OPEN, None).await;
    app.intent_of("no order", 8, "processing", Some("processing"))
        .await;
    match synced {
        None => app.shop_writes(&intent, "missing").await,
        Some(_) => drop(app.deliver(CLEANUP).await),
    }
    let at = synced.map_or("null".to_owned(), |ago| format!("now() - interval '{ago}'"));
    app.execute(&format!(
        "update payment_intents
            set last_synced_at = {at}, updated_at = now() - interval '1 hour'
          where stripe_payment_intent_id = '{intent}'"
    ))
    .await;
    app.stripe.add(Intent::new(&intent, OPEN));

    app.deliver(CLEANUP).await;
    app.deliver(CLEANUP).await;

    assert_eq!(app.stripe.effective_cancels(&intent), usize::from(is_asked));
    let here =
        format!("select status from payment_intents where stripe_payment_intent_id = '{intent}'");
    let status = if is_asked { "canceled" } else { "missing" };
    assert_eq!(app.rows(&here).await, json!([{ "status": status }]));
    let open = "select count(*) from alerts where status = 'open'";
    let is_alerted = synced.is_some() && !is_asked;
    assert_eq!(app.count(open).await, i64::from(is_alerted));
}

#[tokio::test]
async fn an_intent_that_is_still_missing_after_a_week_stays_so_with_one_alert() {
    let app = App::new().await;
    app.intent_of("EXPIRED", 60, OPEN, None).await;
    app.intent_of("no order", 8, "processing", Some("processing"))
        .await;
    app.deliver(CLEANUP).await;
    app.execute(
        "update payment_intents
            set last_synced_at = now() - interval '8 days', updated_at = now() - interval '8 days'",
    )
    .await;
    let calls = app.stripe.calls().len();

    app.deliver(CLEANUP).await;

    assert!(app.stripe.calls().len() > calls);
    let missing = "select count(*) from payment_intents where status = 'missing'";
    assert_eq!(app.count(missing).await, 1);
    assert_eq!(app.count("select count(*) from alerts").await, 1);
}

#[tokio::test]
async fn a_dry_run_plans_for_the_rows_of_another_system_what_the_run_does() {
    let app = App::new().await;
    for here in ["canceled", "succeeded", "missing"] {
        for at_stripe in [OPEN, "succeeded", "canceled", "processing"] {
            app.intent_of("no order", 8, here, Some(at_stripe)).await;
        }
    }

    let dry = app.assert_a_dry_run_changes_nothing(CLEANUP).await;
    let real = app.deliver(CLEANUP).await;

    for count in [
        "payment_intents_canceled",
        "payments_updated",
        "left_alone",
        "alerts_opened",
    ] {
        assert_eq!(dry.results()[count], real.results()[count], "{count}");
    }
}
