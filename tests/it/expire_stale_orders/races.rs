//! What happens between Stripe's answer and our commit.

use std::time::Duration;

use jarvis_cron::demo::stripe_double::{Fault, Operation};
use serde_json::{Value, json};

use crate::app::{App, JOB};
use crate::crashes::exactly::WAITING;
use crate::processes::until;

const WHILE_STRIPE_THINKS: Duration = Duration::from_millis(600);

/// Runs the job; as soon as Stripe is being asked, `meanwhile` happens.
pub(super) async fn run_and_meanwhile(
    app: &App,
    intent: &str,
    meanwhile: impl Future<Output = ()>,
) {
    app.stripe.fault(
        Operation::Retrieve,
        intent,
        Fault::Hang(WHILE_STRIPE_THINKS),
    );
    let asked = async {
        while app.stripe.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        meanwhile.await;
    };
    let (reply, ()) = tokio::join!(app.deliver(JOB), asked);
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
}

#[tokio::test]
async fn an_order_paid_meanwhile_is_not_expired() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;

    run_and_meanwhile(&app, &intent, async {
        app.execute("update orders set status = 'PAID', paid_at = now()")
            .await;
    })
    .await;

    insta::assert_snapshot!(app.story(order).await, @"PAID; reserved 3, ACTIVE; intent requires_action");
}

#[tokio::test]
async fn an_order_given_more_time_meanwhile_is_not_expired() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;

    run_and_meanwhile(&app, &intent, async {
        app.execute("update orders set expires_at = now() + interval '1 hour'")
            .await;
    })
    .await;

    assert_eq!(app.order_status(order).await, "PENDING");
}

#[tokio::test]
async fn an_intent_that_appears_meanwhile_keeps_the_order_until_it_is_asked_about_too() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;

    run_and_meanwhile(&app, &intent, async {
        app.intent(
            order,
            "requires_payment_method",
            Some("requires_payment_method"),
        )
        .await;
    })
    .await;
    assert_eq!(app.order_status(order).await, "PENDING");

    app.deliver(JOB).await;
    assert_eq!(app.order_status(order).await, "EXPIRED");
}

#[tokio::test]
async fn a_webhook_that_wrote_a_final_status_meanwhile_is_not_overwritten() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("processing"))
        .await;

    run_and_meanwhile(&app, &intent, async {
        app.execute("update payment_intents set status = 'succeeded'")
            .await;
    })
    .await;

    assert!(app.story(order).await.contains("intent succeeded"));
    assert_eq!(app.order_status(order).await, "PENDING");
}

#[tokio::test]
async fn an_order_that_another_transaction_holds_is_left_to_the_next_run() {
    let app = App::new().await;
    let held = app.stale_order().await;
    let free = app.stale_order().await;
    let mut checkout = app.db.begin().await.unwrap();
    sqlx::query("select from orders where id = $1 for update")
        .bind(held)
        .execute(&mut *checkout)
        .await
        .unwrap();

    let reply = app.deliver(JOB).await;
    assert_eq!(app.order_status(free).await, "EXPIRED");
    // It is passed, and not waited for until that is an error.
    insta::assert_snapshot!(app.story(held).await, @"PENDING; reserved 3, ACTIVE");
    assert_eq!(reply.results()["errors"], json!([]));

    checkout.rollback().await.unwrap();
    app.deliver(JOB).await;
    assert_eq!(app.order_status(held).await, "EXPIRED");
}

#[tokio::test]
async fn stock_that_another_transaction_holds_is_left_to_a_later_run_without_an_alarm() {
    let app = App::impatient().await;
    let held = app.stale_order().await;
    let free = app.stale_order().await;
    let mut checkout = app.db.begin().await.unwrap();
    sqlx::query(
        "select from stock_levels
          where id = (select stock_level_id from stock_reservations where order_id = $1)
            for update",
    )
    .bind(held)
    .execute(&mut *checkout)
    .await
    .unwrap();

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    insta::assert_snapshot!(app.story(free).await, @"EXPIRED; reserved 0, RELEASED; events local.order.expired");
    insta::assert_snapshot!(app.story(held).await, @"PENDING; reserved 3, ACTIVE; deferred");
}

#[tokio::test]
async fn an_intent_that_another_transaction_holds_keeps_only_its_own_order() {
    let app = App::impatient().await;
    let (held, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    let free = app.stale_order().await;
    let mut webhook = app.db.begin().await.unwrap();
    sqlx::query("select from payment_intents where stripe_payment_intent_id = $1 for update")
        .bind(&intent)
        .execute(&mut *webhook)
        .await
        .unwrap();

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(app.order_status(free).await, "EXPIRED");
    assert_eq!(app.order_status(held).await, "PENDING");
}

#[tokio::test]
async fn an_order_is_locked_from_the_check_until_it_has_expired() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    // Between the check and the expiry, what Stripe said is written: the run waits there.
    let mut webhook = app.db.begin().await.unwrap();
    sqlx::query("select from payment_intents where stripe_payment_intent_id = $1 for update")
        .bind(&intent)
        .execute(&mut *webhook)
        .await
        .unwrap();

    let checkout = async {
        until("the run waits", async || app.count(WAITING).await > 0).await;
        let free = "select count(*) from (select from orders for update skip locked) free";
        let free = app.count(free).await;
        webhook.rollback().await.unwrap();
        free
    };
    let (reply, free) = tokio::join!(app.deliver(JOB), checkout);

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(free, 0);
    assert_eq!(app.order_status(order).await, "EXPIRED");
}

#[tokio::test]
async fn stock_levels_are_locked_in_the_order_of_their_ids() {
    let app = App::new().await;
    app.stale_orders(30, 1).await;
    let mut checkout = app.db.begin().await.unwrap();
    sqlx::query("select from stock_levels order by id offset 14 limit 1 for update")
        .execute(&mut *checkout)
        .await
        .unwrap();

    let seen = async {
        until("the run waits", async || app.count(WAITING).await > 0).await;
        let free = app
            .rows("select id from stock_levels for update skip locked")
            .await;
        checkout.rollback().await.unwrap();
        free
    };
    let (reply, free) = tokio::join!(app.deliver(JOB), seen);

    assert_eq!(reply.results()["stock_released"], 30, "{reply:?}");
    let last = app
        .rows("select id from stock_levels order by id offset 15")
        .await;
    assert_eq!(sorted(&free), sorted(&last));
}

fn sorted(rows: &Value) -> Vec<String> {
    let rows = rows.as_array().unwrap().iter();
    let mut ids: Vec<String> = rows.map(|row| row["id"].to_string()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn money_that_came_in_for_an_order_that_was_canceled_meanwhile_is_told_of() {
    let app = App::new().await;
    let (order, intent) = app
        .stale_order_with_intent("requires_action", Some("succeeded"))
        .await;
    let canceled = app.execute("update orders set status = 'CANCELED'");

    run_and_meanwhile(&app, &intent, canceled).await;

    insta::assert_snapshot!(app.story(order).await, @"CANCELED; reserved 3, ACTIVE; intent succeeded; alert order_paid_after_end");
}
