//! Orders that Stripe's answer holds, a few or many: of another account, or refused one by one.

use jarvis_cron::demo::stripe_double::{Fault, Intent, Operation};
use rstest::rstest;
use uuid::Uuid;

use crate::app::{App, JOB};
use crate::payments::OPEN;

/// So many overdue orders, older than any other, whose intents Stripe does not know.
async fn of_another_account(app: &App, count: i32) {
    let orders = app.stale_orders(count, 1).await;
    sqlx::query("update orders set expires_at = now() - interval '1 day' where id = any($1)")
        .bind(&orders)
        .execute(&app.db)
        .await
        .unwrap();
    unknown_intents(app, orders).await;
}

/// An intent for each of these orders, which Stripe does not know.
async fn unknown_intents(app: &App, orders: Vec<Uuid>) {
    sqlx::query(
        "insert into payment_intents (order_id, stripe_payment_intent_id, status, amount)
         select id, 'pi_other_' || id, $2, 1000 from unnest($1) id",
    )
    .bind(orders)
    .bind(OPEN)
    .execute(&app.db)
    .await
    .unwrap();
}

/// So many overdue orders whose intents are open.
async fn good_orders(app: &App, count: i32) -> Vec<Uuid> {
    let orders = app.stale_orders(count, 1).await;
    for order in &orders {
        app.intent(*order, OPEN, Some(OPEN)).await;
    }
    orders
}

#[rstest]
#[case::one(1, "payment_intent_missing")]
#[case::four(
    4,
    "payment_intent_missing payment_intent_missing payment_intent_missing payment_intent_missing"
)]
#[case::five(
    5,
    "payment_intent_missing payment_intent_missing payment_intent_missing payment_intent_missing \
     payment_intent_missing"
)]
#[case::six(6, "payment_intent_missing:orders")]
#[case::five_hundred(500, "payment_intent_missing:orders")]
#[tokio::test]
async fn orders_of_another_account_are_held_and_the_others_expire_in_the_same_run(
    #[case] unknown: i32,
    #[case] alerts: &str,
) {
    let app = App::new().await;
    of_another_account(&app, unknown).await;
    good_orders(&app, 20).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 20, "{reply:?}");
    let held = "select count(*) from orders where status = 'PENDING'";
    assert_eq!(app.count(held).await, i64::from(unknown));
    assert_eq!(app.open_alerts().await, alerts);
    app.assert_another_run_changes_nothing(JOB).await;
}

#[rstest]
#[case::six(6)]
#[case::five_hundred(500)]
#[tokio::test]
async fn orders_of_another_account_are_held_also_when_they_are_the_newest(#[case] unknown: i32) {
    let app = App::new().await;
    good_orders(&app, 20).await;
    app.execute(
        "update orders set expires_at = now() - interval '1 hour';
         update payment_intents set created_at = now() - interval '1 day'",
    )
    .await;
    let held = app.stale_orders(unknown, 1).await;
    sqlx::query("update orders set expires_at = now() - interval '1 day' where id = any($1)")
        .bind(&held)
        .execute(&app.db)
        .await
        .unwrap();
    unknown_intents(&app, held).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 20, "{reply:?}");
    assert_eq!(app.open_alerts().await, "payment_intent_missing:orders");
}

#[tokio::test]
async fn a_session_proves_the_key_where_the_shop_has_nothing_else() {
    let app = App::new().await;
    of_another_account(&app, 30).await;
    for order in app.stale_orders(20, 1).await {
        app.session_row(Some(order), 0, Some("open")).await;
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 20, "{reply:?}");
    assert_eq!(app.open_alerts().await, "payment_intent_missing:orders");
}

#[tokio::test]
async fn orders_that_come_up_a_few_at_a_time_are_one_matter_too() {
    let app = App::new().await;
    good_orders(&app, 1).await;
    app.deliver(JOB).await;

    for _ in 0..4 {
        of_another_account(&app, 3).await;
        app.deliver(JOB).await;
    }

    let alerts = app.open_alerts().await;
    let open = alerts.split(' ').count();
    assert!(open <= 6, "{open} alerts about 12 orders: {alerts}");
}

#[tokio::test]
async fn one_matter_stays_one_alert_when_its_orders_come_up_again() {
    let app = App::new().await;
    of_another_account(&app, 30).await;
    good_orders(&app, 1).await;
    app.deliver(JOB).await;
    app.wait_no_longer().await;
    good_orders(&app, 1).await;

    app.deliver(JOB).await;

    assert_eq!(app.open_alerts().await, "payment_intent_missing:orders");
}

#[tokio::test]
async fn one_matter_ends_when_its_last_order_has_ended() {
    let app = App::new().await;
    of_another_account(&app, 6).await;
    good_orders(&app, 1).await;
    app.deliver(JOB).await;
    app.execute(
        "update orders set status = 'CANCELED'
          where id in (select id from orders where status = 'PENDING' limit 5)",
    )
    .await;
    app.deliver(JOB).await;
    let with_one_left = app.open_alerts().await;

    app.execute("update orders set status = 'CANCELED' where status = 'PENDING'")
        .await;
    app.deliver(JOB).await;

    assert_eq!(with_one_left, "payment_intent_missing:orders");
    assert_eq!(app.open_alerts().await, "");
}

#[tokio::test]
async fn a_dry_run_plans_for_orders_of_another_account_what_the_run_does() {
    let app = App::new().await;
    of_another_account(&app, 40).await;
    good_orders(&app, 3).await;

    let dry = app.assert_a_dry_run_changes_nothing(JOB).await;
    let real = app.deliver(JOB).await;

    for count in ["orders_expired", "orders_deferred", "alerts_opened"] {
        assert_eq!(dry.results()[count], real.results()[count], "{count}");
    }
}

#[tokio::test]
async fn an_order_of_another_account_expires_once_stripe_knows_its_intent() {
    let app = App::new().await;
    of_another_account(&app, 6).await;
    good_orders(&app, 1).await;
    app.deliver(JOB).await;
    // The key is of the right account now.
    let ids = app
        .rows("select stripe_payment_intent_id as id from payment_intents")
        .await;
    let ids = ids.as_array().unwrap().iter();
    let ids: Vec<&str> = ids.map(|row| row["id"].as_str().unwrap()).collect();
    app.stripe.add_all(
        ids.iter()
            .filter(|id| id.starts_with("pi_other"))
            .map(|id| Intent::new(*id, OPEN)),
    );
    app.wait_no_longer().await;

    app.deliver(JOB).await;
    app.deliver(JOB).await;

    let left = "select count(*) from orders where status <> 'EXPIRED'";
    assert_eq!(app.count(left).await, 0);
    assert_eq!(app.open_alerts().await, "");
}

#[rstest]
#[case::four(4, false)]
#[case::five(5, false)]
#[case::six(6, true)]
#[tokio::test]
async fn orders_that_stripe_refuses_one_by_one_are_alerted_by_number(
    #[case] refused: i32,
    #[case] as_one: bool,
) {
    let app = App::new().await;
    let orders = good_orders(&app, refused).await;
    let intents = app
        .rows("select stripe_payment_intent_id as id from payment_intents")
        .await;
    for (n, row) in intents.as_array().unwrap().iter().enumerate() {
        let id = row["id"].as_str().unwrap();
        // Each for a reason of its own, so that this is no refusal of all.
        let fault = Fault::Status {
            status: 400,
            code: Some(format!("reason_{n}")),
            should_retry: None,
            retry_after: None,
        };
        app.stripe.fault(Operation::Retrieve, id, fault);
    }
    good_orders(&app, 1).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let alerts = if as_one {
        "order_expiry_stuck:orders".to_owned()
    } else {
        vec!["order_expiry_stuck"; orders.len()].join(" ")
    };
    assert_eq!(app.open_alerts().await, alerts);
    let errors = reply.results()["errors"].as_array().unwrap();
    assert_eq!(errors.len(), orders.len());
}

#[tokio::test]
async fn one_matter_ends_although_another_order_waits_for_an_answer_of_stripes() {
    let app = App::new().await;
    let orders = good_orders(&app, 6).await;
    app.stripe.always(Operation::Cancel, Fault::status(400));
    app.deliver(JOB).await;
    let before = app.open_alerts().await;
    app.stripe.clear_faults();
    app.wait_no_longer().await;
    let waiting = good_orders(&app, 1).await[0];
    for _ in 0..9 {
        let slow = Fault::status(429);
        let intent = "select stripe_payment_intent_id as id from payment_intents
                       order by created_at desc limit 1";
        let intent = app.rows(intent).await[0]["id"].clone();
        app.stripe
            .fault(Operation::Retrieve, intent.as_str().unwrap(), slow);
    }
    app.deliver(JOB).await;

    app.deliver(JOB).await;

    assert_eq!(before, "order_expiry_stuck:orders");
    for order in orders {
        assert_eq!(app.order_status(order).await, "EXPIRED");
    }
    assert_eq!(app.order_status(waiting).await, "PENDING");
    assert_eq!(app.open_alerts().await, "");
}
