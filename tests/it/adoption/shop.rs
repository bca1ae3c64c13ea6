//! Both shop jobs on the tables of a shop on Prisma.

use jarvis_cron::demo::stripe_double::Intent;

use super::*;
use crate::processes::{Process, until};

const WEEKLY: &str = "cleanup-stale-payment-intents";

/// What Stripe says of the four payments: open, paid, under way, and nothing at all.
pub(super) fn answer(app: &App) {
    for (id, status) in [
        ("pi_1", "requires_payment_method"),
        ("pi_2", "succeeded"),
        ("pi_3", "processing"),
        ("pi_0", "succeeded"),
    ] {
        app.stripe.add(Intent::new(id, status));
    }
}

const ORDERS: &str = "select status, count(*) from public.orders group by 1 order by 1";
const PAYMENTS: &str = "select id, status from public.payments order by 1";
const UNITS: &str = "select sum(quantity) from public.stocks";

#[tokio::test]
async fn due_orders_expire_in_the_shops_own_tables_as_the_dry_run_said() {
    let app = a_shop(&[]).await;
    answer(&app);
    let before = cells(&app, "select * from public.orders, public.stocks").await;

    let dry = Delivery::of(JOB)
        .body(r#"{"dry_run": true}"#)
        .to(&app)
        .await;
    let untouched = cells(&app, "select * from public.orders, public.stocks").await;
    let real = app.deliver(JOB).await;
    let again = app.deliver(JOB).await;

    assert_eq!(before, untouched);
    assert_eq!(real.outcome(), (200, "succeeded"), "{real:?}");
    for (result, expected) in [
        ("orders_expired", 27),
        ("orders_paid", 1),
        ("orders_deferred", 2),
        ("payment_intents_canceled", 1),
        ("stock_released", 54),
    ] {
        assert_eq!(dry.results()[result], expected, "{result}: {dry:?}");
        assert_eq!(real.results()[result], expected, "{result}: {real:?}");
    }
    assert_eq!(again.results()["orders_expired"], 0, "{again:?}");
    let orders = json!([
        ["EXPIRED", 27],
        ["PAID", 5],
        ["PENDING", 4],
        ["REQUIRES_PAYMENT", 4]
    ]);
    assert_eq!(cells(&app, ORDERS).await, orders);
    let payments = json!([
        ["pay1", "canceled"],
        ["pay2", "succeeded"],
        ["pay3", "processing"],
        ["pay4", "requires_payment_method"]
    ]);
    assert_eq!(cells(&app, PAYMENTS).await, payments);
    assert_eq!(app.count(UNITS).await, 1054);
    let ours = "select status from payment_intents where stripe_payment_intent_id = 'pi_4'";
    assert_eq!(cells(&app, ours).await, json!([["missing"]]));
    let active = "select count(*) from public.stock_reservations where status = 'ACTIVE'";
    assert_eq!(app.count(active).await, 3);
}

#[tokio::test]
async fn payments_of_long_ago_are_canceled_in_the_shops_own_table() {
    let app = a_shop(&[]).await;
    answer(&app);
    app.execute("update public.payments set created_at = '2026-01-01T00:00:00.000Z'")
        .await;
    app.execute("update public.orders set status = 'CANCELLED' where id in ('order1', 'order3')")
        .await;

    let dry = app.operate(WEEKLY, "dry_run=true").await;
    let real = app.deliver(WEEKLY).await;

    assert_eq!(real.outcome(), (200, "succeeded"), "{real:?}");
    assert_eq!(dry.results()["payment_intents_canceled"], 1, "{dry:?}");
    assert_eq!(real.results()["payment_intents_canceled"], 1, "{real:?}");
    let status = "select id, status from public.payments where id < 'pay3' order by 1";
    let expected = json!([["pay1", "canceled"], ["pay2", "succeeded"]]);
    assert_eq!(cells(&app, status).await, expected);
}

/// What our sync wrote is about the intent that the row named then.
#[tokio::test]
async fn a_payment_that_names_another_intent_by_now_is_asked_about_again() {
    let app = a_shop(&[]).await;
    answer(&app);
    app.deliver(JOB).await;
    let synced = "select synced_status, last_synced_at is not null from payment_intents where order_id = md5('order1')::uuid";
    assert_eq!(cells(&app, synced).await, json!([["canceled", true]]));

    app.execute("update public.payments set stripe_payment_intent_id = 'pi_9' where id = 'pay1'")
        .await;

    assert_eq!(cells(&app, synced).await, json!([[null, false]]));
}

#[tokio::test]
async fn an_order_that_the_shop_is_settling_is_passed() {
    let app = a_shop(&[]).await;
    answer(&app);
    let mut shop = app.database.direct.begin().await.unwrap();
    shop.execute("update public.orders set status = 'PAID' where id in ('order5', 'order25')")
        .await
        .unwrap();

    let reply = app.deliver(JOB).await;
    shop.commit().await.unwrap();

    assert_eq!(reply.results()["orders_expired"], 25, "{reply:?}");
    let paid =
        "select count(*) from public.orders where id in ('order5', 'order25') and status = 'PAID'";
    assert_eq!(app.count(paid).await, 2);
    let held = "select status from public.stock_reservations where order_id = 'order5'";
    assert_eq!(cells(&app, held).await, json!([["ACTIVE"]]));
    assert_eq!(
        app.count("select count(*) from host_released where item_id = 'item25'")
            .await,
        0
    );
}

#[tokio::test]
async fn text_that_is_no_moment_does_not_fail_the_night_of_the_others() {
    let app = a_shop(&[]).await;
    answer(&app);
    app.execute(
        "update public.orders set expires_at = case id
             when 'order5' then 'soon' when 'order6' then '2026-02-30T10:00:00.000Z' when 'order7' then ''
             when 'order8' then '2024-02-29T10:00:00Z' when 'order9' then '2026-11-01 10:00:00+02'
             when 'order10' then '2026-11-01T10:00' else expires_at end",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.results()["orders_expired"], 24, "{reply:?}");
    let left = "select id from public.orders where id in ('order5', 'order6', 'order7', 'order8', 'order9', 'order10') and status <> 'EXPIRED' order by 1";
    assert_eq!(
        cells(&app, left).await,
        json!([["order5"], ["order6"], ["order7"]])
    );
}

/// Two shards at once; one is killed in the middle, while the shop holds a stock that it needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_and_begun_again_gives_back_every_unit_once() {
    let app = a_shop(&[("LEASE_TTL_SECONDS", "1")]).await;
    answer(&app);
    app.execute(
        "insert into public.orders (id, machine_id, status, created_at, expires_at)
         select 'x' || n, 'm1', 'PENDING', '2026-01-01T00:00:00.000Z', to_char(timestamp '2026-01-02' + n * interval '1 second', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
           from generate_series(1, 400) n;
         insert into public.order_items (id, order_id, product_id, quantity, slot_number)
         select 'x' || n, 'x' || n, case when n > 200 then 'p10' else 'p1' end, 3, case when n > 200 then 10 else 1 end from generate_series(1, 400) n",
    )
    .await;
    let mut shop = app.database.direct.begin().await.unwrap();
    shop.execute("select from public.stocks where id = 'stock10' for update")
        .await
        .unwrap();
    let (one, two) = tokio::join!(Process::serve(&app), Process::serve(&app));
    let shard = |n| Delivery::of(JOB).body(&format!(r#"{{"shard": "{n}/2", "batch_size": 20}}"#));
    let (first, second) = (shard(0), shard(1));

    let killed = one.redelivering(&first);
    let other = two.delivering(&second);
    until("both wait for the stock", async || {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        app.count(waiting).await == 2
    })
    .await;
    one.kill().await;
    assert!(killed.await.unwrap().is_err());
    shop.rollback().await.unwrap();
    let other = other.await.unwrap().unwrap();
    let replies = join_all([two.address.redeliver(&first)]).await;

    assert_eq!(other.outcome(), (200, "succeeded"), "{other:?}");
    let reply = replies[0].as_ref().unwrap();
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let expired = "select count(*) from public.orders where id like 'x%' and status = 'EXPIRED'";
    assert_eq!(app.count(expired).await, 400);
    assert_eq!(app.count(UNITS).await, 1000 + 400 * 3 + 54);
    let twice = "select count(*) - count(distinct (event_type, entity_id)) from audit_events";
    assert_eq!(app.count(twice).await, 0);
}

/// Stripe is not asked about a history that the shop has settled itself.
#[tokio::test]
async fn payments_that_ended_before_we_came_are_settled() {
    let app = a_shop(&[]).await;
    answer(&app);
    app.execute(
        "update public.orders set status = 'CANCELLED' where id in ('order1', 'order2', 'order3');
         update public.payments set created_at = '2026-01-01T00:00:00.000Z', updated_at = '2026-01-01T00:00:00.000Z',
             status = case id when 'pay1' then 'succeeded' when 'pay2' then 'canceled' when 'pay3' then 'failed' else 'succeeded' end",
    )
    .await;
    let settled = "select order_id from payment_intents where intent_is_settled(status, synced_status, last_synced_at)";

    let before = app
        .count(&format!("select count(*) from ({settled}) it"))
        .await;
    app.deliver(WEEKLY).await;

    assert_eq!(before, 2, "that of an open order is asked about");
    // Stripe says otherwise of the first.
    let theirs = "select id, status, updated_at = '2026-01-01T00:00:00.000Z' from public.payments where id < 'pay4' order by 1";
    let expected = json!([
        ["pay1", "succeeded", true],
        ["pay2", "canceled", true],
        ["pay3", "processing", false]
    ]);
    assert_eq!(cells(&app, theirs).await, expected);
}
