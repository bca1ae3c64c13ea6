//! expire-stale-orders, from request to released stock.

use jarvis_cron::database::{self, TxLimits, Unprepared};
use serde_json::json;

use crate::app::{App, Delivery, JOB, now};

mod another_answer;
mod answers;
mod changed_since;
mod denied;
mod dry_run;
mod held;
mod held_in_numbers;
mod last_look;
mod many_intents;
mod paid;
mod properties;
mod races;
mod renamed;
mod sessions;
mod transfers;
mod trouble;
mod trust;

#[tokio::test]
async fn an_overdue_order_expires_and_its_stock_is_free_again() {
    let app = App::new().await;
    let order = app.stale_order().await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"));
    assert_eq!(
        *reply.results(),
        json!({ "orders_expired": 1, "orders_paid": 0, "orders_deferred": 0,
                "payment_intents_canceled": 0, "stock_released": 3, "alerts_opened": 0,
                "errors": [] })
    );
    insta::assert_snapshot!(app.story(order).await, @"EXPIRED; reserved 0, RELEASED; events local.order.expired");
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let app = App::new().await;
    app.stale_orders(3, 2).await;
    app.stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    app.stale_order_with_intent("requires_action", Some("succeeded"))
        .await;
    app.stale_order_with_intent("requires_action", Some("processing"))
        .await;
    app.stale_order_with_intent("requires_action", None).await;
    app.deliver(JOB).await;
    let mut after_the_first = app.checksums().await;

    let reply = app.deliver(JOB).await;

    assert_eq!(
        reply.body["message"],
        "expire-stale-orders succeeded: nothing to do"
    );
    let mut after_the_second = app.checksums().await;
    // Every settled run has its line.
    after_the_first.remove("system_logs");
    after_the_second.remove("system_logs");
    assert_eq!(after_the_first, after_the_second);
}

#[tokio::test]
async fn orders_in_time_and_orders_that_are_settled_stay_as_they_are() {
    let app = App::new().await;
    app.stale_orders(6, 1).await;
    app.execute(
        "update orders o
            set status = s.status, expires_at = now() + s.later
           from (select id, row_number() over (order by id) as n from orders) numbered
           join (values (1, 'PAID', interval '-1 hour'), (2, 'CANCELED', '-1 hour'),
                        (3, 'REFUNDED', '-1 hour'), (4, 'PENDING', '1 minute'),
                        (5, 'REQUIRES_PAYMENT', '1 hour'), (6, 'PENDING', null))
                as s (n, status, later) using (n)
          where o.id = numbered.id",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.results()["orders_expired"], 0);
    assert_eq!(app.count("select sum(reserved) from stock_levels").await, 6);
}

#[tokio::test]
async fn only_what_is_still_reserved_is_released() {
    let app = App::new().await;
    let order = app.stale_order().await;
    // Another three were consumed, two were released before, on the same level.
    app.execute(
        "insert into stock_reservations (order_id, stock_level_id, quantity, status)
         select order_id, stock_level_id, quantity, other.status
           from stock_reservations,
                (values ('CONSUMED'), ('RELEASED')) as other (status);
         insert into stock_reservations (order_id, stock_level_id, quantity)
         select order_id, stock_level_id, 4 from stock_reservations where status = 'ACTIVE';
         update stock_levels set reserved = 3 + 4 + 10",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.results()["stock_released"], 7);
    insta::assert_snapshot!(app.story(order).await, @"EXPIRED; reserved 10, CONSUMED RELEASED RELEASED RELEASED; events local.order.expired");
}

#[tokio::test]
async fn a_reservation_is_released_by_any_caller_of_the_function() {
    let app = App::new().await;
    let order = app.stale_order().await;
    let release = async || {
        let limits = TxLimits::CONTROL;
        let mut tx = database::begin(&app.runner.db, limits).await.unwrap();
        let units = jarvis_cron::shop::stock::release_reserved_stock(
            Unprepared(&mut tx),
            &[order],
            "order_canceled",
            now(),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        units
    };

    assert_eq!((release().await, release().await), (3, 0));
    let reason = app
        .rows("select release_reason from stock_reservations")
        .await;
    assert_eq!(reason, json!([{ "release_reason": "order_canceled" }]));
}

#[tokio::test]
async fn a_limit_bounds_the_run_and_the_next_goes_on() {
    let app = App::new().await;
    app.stale_orders(7, 1).await;

    let first = Delivery::of(JOB)
        .body(r#"{"limit": 5, "batch_size": 2}"#)
        .to(&app)
        .await;
    let second = app.deliver(JOB).await;

    assert_eq!(first.results()["orders_expired"], 5);
    assert_eq!(second.results()["orders_expired"], 2);
}

#[tokio::test]
async fn shards_divide_the_orders_without_overlap() {
    let app = App::new().await;
    app.stale_orders(40, 1).await;

    let mut expired = 0;
    for index in 0..3 {
        let body = format!(r#"{{"shard": {{"index": {index}, "count": 3}}}}"#);
        let reply = Delivery::of(JOB).body(&body).to(&app).await;
        let mine = reply.results()["orders_expired"].as_i64().unwrap();
        assert!((1..40).contains(&mine), "shard {index} expired {mine}");
        expired += mine;
    }

    assert_eq!(expired, 40);
    assert_eq!(
        app.count("select count(*) from orders where status = 'EXPIRED'")
            .await,
        40
    );
}

#[tokio::test]
async fn a_moment_is_replayed_without_what_came_later() {
    let app = App::new().await;
    app.stale_orders(2, 1).await;
    app.execute(
        "update orders set expires_at = now() - interval '2 hours'
          where id = (select id from orders limit 1)",
    )
    .await;
    let hour_ago = now() - chrono::Duration::hours(1);

    let body = json!({ "as_of": hour_ago }).to_string();
    let reply = Delivery::of(JOB).body(&body).to(&app).await;

    assert_eq!(reply.results()["orders_expired"], 1);
    let at = app
        .rows("select expired_at from orders where status = 'EXPIRED'")
        .await;
    let at: chrono::DateTime<chrono::Utc> = at[0]["expired_at"].as_str().unwrap().parse().unwrap();
    assert!(
        (at - hour_ago).num_milliseconds() == 0,
        "{at} is not {hour_ago}"
    );
}
