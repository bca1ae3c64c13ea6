//! Five thousand orders, while Postgres crashes, the service is killed, and the shop pays, extends
//! and refunds orders all the time.

use std::time::Duration;

use serde_json::json;

use super::server::Server;
use crate::app::{App, Delivery, JOB};
use crate::crashes::exactly::expired;
use crate::crashes::number_below;
use crate::database::Database;
use crate::processes::{Process, until};

mod life;

use life::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_orders_end_once_whatever_crashes_dies_or_changes_meanwhile() {
    let mut server = Server::start().await;
    let database = Database::elsewhere(server.url(), server.url());
    let settings = [("LEASE_TTL_SECONDS", "1"), ("STRIPE_MAX_RPS", "10000")];
    let app = App::with_database(database, &settings).await;
    app.stripe.latency(Duration::from_millis(8));
    let shop = Shop::open(&app, 5_000).await;

    let break_everything = async {
        let mut process = Process::serve(&app).await;
        let mut answer = process.redelivering(&Delivery::of(JOB));
        for round in 0..10 {
            let goal = expired(&app).await + i64::from(number_below(300)) + 50;
            until("the run has come that far", async || {
                expired(&app).await >= goal || answer.is_finished()
            })
            .await;
            if round % 2 == 0 {
                server.crash();
                server.come_back().await;
            } else {
                process.kill().await;
                process = Process::serve(&app).await;
            }
            if round % 2 == 1 || answer.is_finished() {
                answer = process.redelivering(&Delivery::of(JOB));
            }
        }
        answer.await.unwrap().unwrap();
        shop.close();
        process
    };
    let (process, ..) = tokio::join!(
        break_everything,
        shop.live(),
        shop.live(),
        shop.live(),
        shop.live()
    );
    shop.end_the_day().await;
    finish(&app, &process).await;

    println!("{}", shop.tally());
    shop.assert_each_order_ended_once_and_rightly().await;
    assert_books_are_exact(&app).await;
    assert_ledger_agrees(&app).await;
}

/// Delivers until no order is left unpaid.
async fn finish(app: &App, process: &Process) {
    for _ in 0..30 {
        let delivery = Delivery::of(JOB);
        let reply = process.address.redeliver(&delivery).await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        let unpaid = "select count(*) from orders where status in ('PENDING', 'REQUIRES_PAYMENT')";
        if app.count(unpaid).await == 0 {
            return;
        }
        app.wait_no_longer().await;
    }
    let left = app
        .rows(
            "select o.status, p.status as intent, x.last_outcome, x.last_error, count(*)
               from orders o
               left join payment_intents p on p.order_id = o.id
               left join order_expirations x on x.order_id = o.id
              where o.status in ('PENDING', 'REQUIRES_PAYMENT')
              group by 1, 2, 3, 4",
        )
        .await;
    panic!("some orders never end: {left:#}");
}

/// Each reservation is as its order, and each level holds and has what is left.
async fn assert_books_are_exact(app: &App) {
    let wrong = app
        .rows(
            "select o.status, r.status as reservation, s.reserved, s.on_hand
               from orders o
               join stock_reservations r on r.order_id = o.id
               join stock_levels s on s.id = r.stock_level_id
              where (r.status, s.reserved, s.on_hand)
                    <> (case o.status when 'EXPIRED' then 'RELEASED' else 'CONSUMED' end, 0,
                        case o.status when 'EXPIRED' then 100 else 97 end)",
        )
        .await;
    assert_eq!(wrong, json!([]));
}

/// The runs and the totals count what the tables show, and each run has ended and has one line in
/// the log.
async fn assert_ledger_agrees(app: &App) {
    let counted = "select (select sum((results ->> kind)::bigint) from job_runs) as counted,
                          (select sum(t.total) from job_totals t
                            where t.job = 'expire-stale-orders' and t.kind = shown.kind) as total,
                          shown, kind
                     from (select 'orders_expired' as kind, count(*) as shown
                             from orders where status = 'EXPIRED'
                           union all
                           select 'stock_released', sum(quantity)
                             from stock_reservations where status = 'RELEASED'
                           union all
                           select 'payment_intents_canceled', count(*)
                             from audit_events where event_type = 'local.payment.canceled') shown";
    let wrong =
        format!("select * from ({counted}) c where (counted, total) <> (shown, shown::bigint)");
    assert_eq!(app.rows(&wrong).await, json!([]));
    let odd = app
        .rows(
            "select id, status
               from job_runs r
              where status = 'running'
                 or (select count(*) from system_logs l where l.run_id = r.id) <> 1",
        )
        .await;
    assert_eq!(odd, json!([]));
}
