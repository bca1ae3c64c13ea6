//! Five thousand orders, while Postgres crashes, the service is killed, and the shop pays, extends
//! and refunds orders all the time.
//!
//! What the shop was told it did is kept here; the end is judged by the tables, by Stripe and by
//! that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jarvis_cron::demo::stripe_double::{Operation, Session};
use parking_lot::Mutex;
use serde_json::json;
use sqlx::{PgPool, Row};
use tokio::time::sleep;
use uuid::Uuid;

use super::server::Server;
use crate::app::{App, Delivery, JOB};
use crate::crashes::exactly::expired;
use crate::crashes::number_below;
use crate::database::Database;
use crate::payments::OPEN;
use crate::processes::{Process, until};

const ORDERS: i32 = 5_000;
const UNITS: i32 = 3;
/// From the last look to the call's arrival; a machine that is busy takes its time.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_orders_end_once_whatever_crashes_dies_or_changes_meanwhile() {
    let mut server = Server::start().await;
    let database = Database::elsewhere(server.url(), server.url());
    let settings = [("LEASE_TTL_SECONDS", "1"), ("STRIPE_MAX_RPS", "10000")];
    let app = App::on(database, &settings).await;
    app.stripe.latency(Duration::from_millis(8));
    let shop = Shop::open(&app).await;

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
    let (process, ()) = tokio::join!(break_everything, shop.live());
    shop.settle_and_wait_for_nobody().await;
    finish(&app, &process).await;

    println!("{}", shop.tally());
    shop.assert_each_order_ended_once_and_rightly().await;
    assert_books_are_exact(&app).await;
    assert_ledger_agrees(&app).await;
}

/// Delivers until a run has found nothing to do.
async fn finish(app: &App, process: &Process) {
    for _ in 0..30 {
        let reply = process.address.redeliver(&Delivery::of(JOB)).await.unwrap();
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

/// The shop: what it does, and what it was told it had done.
struct Shop<'a> {
    app: &'a App,
    db: PgPool,
    /// Each order and how its customer pays: an intent or a session.
    orders: Vec<(Uuid, String)>,
    extended: Mutex<HashMap<Uuid, Instant>>,
    paid: AtomicUsize,
    refunded: AtomicUsize,
    refused: AtomicUsize,
    is_closed: AtomicBool,
}

impl<'a> Shop<'a> {
    /// Orders with an open intent each. Of twenty, an older system calls one canceled and one
    /// succeeded, and one has a session that has no intent yet.
    async fn open(app: &'a App) -> Self {
        let ids = app.stale_orders(ORDERS, UNITS).await;
        app.open_intents_for_all().await;
        app.execute(
            "with numbered as (
                 select id, row_number() over (order by id) % 20 as n from payment_intents
             )
             update payment_intents p
                set status = case n when 0 then 'canceled' when 1 then 'succeeded' else status end,
                    stripe_payment_intent_id = case n when 2 then null
                                               else stripe_payment_intent_id end,
                    checkout_session_id = case n when 2
                                          then 'cs_' || replace(order_id::text, '-', '') end
               from numbered
              where numbered.id = p.id",
        )
        .await;
        let rows = sqlx::query(
            "select order_id, coalesce(stripe_payment_intent_id, checkout_session_id)
               from payment_intents",
        )
        .fetch_all(&app.db)
        .await
        .unwrap();
        let orders: Vec<(Uuid, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(orders.len(), ids.len());
        for (_, session) in orders.iter().filter(|(_, id)| id.starts_with("cs_")) {
            app.stripe.add_session(Session::new(session, "open"));
        }
        Self {
            app,
            db: app.db.clone(),
            orders,
            extended: Mutex::default(),
            paid: AtomicUsize::default(),
            refunded: AtomicUsize::default(),
            refused: AtomicUsize::default(),
            is_closed: AtomicBool::default(),
        }
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// One thing after the other, to any order, until it closes. Postgres may be away at any moment:
    /// then it does not happen, or the shop does not know whether it did.
    async fn live(&self) {
        while !self.is_closed.load(Ordering::Relaxed) {
            let (order, pays_by) = &self.orders[number_below(ORDERS.unsigned_abs()) as usize];
            let done = match number_below(10) {
                0..3 => self.pay(*order, pays_by, true).await,
                3 => self.pay(*order, pays_by, false).await,
                4..7 => self.extend(*order).await,
                _ => self.refund(*order).await,
            };
            if done.is_err() {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            sleep(Duration::from_millis(3)).await;
        }
    }

    /// The customer pays, if the payment has not ended; the webhook may be lost.
    async fn pay(&self, order: Uuid, pays_by: &str, is_heard: bool) -> sqlx::Result<()> {
        let can_pay = self.app.stripe.status(pays_by).as_deref() == Some(OPEN)
            || self.app.stripe.session_status(pays_by).as_deref() == Some("open");
        if can_pay && self.app.stripe.pay(pays_by, "succeeded") {
            self.paid.fetch_add(1, Ordering::Relaxed);
            if is_heard {
                self.settle(order).await?;
            }
        }
        Ok(())
    }

    /// What the webhook does: the intent, the order and the stock, in one transaction.
    async fn settle(&self, order: Uuid) -> sqlx::Result<()> {
        let mut tx = self.db.begin().await?;
        let unpaid = sqlx::query(
            "select from orders where id = $1 and status in ('PENDING', 'REQUIRES_PAYMENT')
                for update",
        )
        .bind(order)
        .fetch_optional(&mut *tx)
        .await?;
        if unpaid.is_some() {
            for step in [
                "update payment_intents set status = 'succeeded', updated_at = now()
                  where order_id = $1",
                "update orders set status = 'PAID', paid_at = now(), updated_at = now()
                  where id = $1",
                "with taken as (
                     update stock_reservations set status = 'CONSUMED'
                      where order_id = $1 and status = 'ACTIVE'
                     returning stock_level_id, quantity
                 )
                 update stock_levels s
                    set reserved = reserved - quantity, on_hand = on_hand - quantity
                   from taken where taken.stock_level_id = s.id",
            ] {
                sqlx::query(step).bind(order).execute(&mut *tx).await?;
            }
        }
        tx.commit().await
    }

    async fn extend(&self, order: Uuid) -> sqlx::Result<()> {
        let extended = sqlx::query(
            "update orders set expires_at = now() + interval '1 hour', updated_at = now()
              where id = $1 and status in ('PENDING', 'REQUIRES_PAYMENT')",
        )
        .bind(order)
        .execute(&self.db)
        .await?;
        if extended.rows_affected() == 1 {
            self.extended
                .lock()
                .entry(order)
                .or_insert_with(Instant::now);
        }
        Ok(())
    }

    async fn refund(&self, order: Uuid) -> sqlx::Result<()> {
        let refunded = sqlx::query(
            "update orders set status = 'REFUNDED', updated_at = now()
              where id = $1 and status = 'PAID'",
        )
        .bind(order)
        .execute(&self.db)
        .await?;
        let refunded = usize::try_from(refunded.rows_affected()).unwrap();
        self.refunded.fetch_add(refunded, Ordering::Relaxed);
        Ok(())
    }

    /// The day is over: lost webhooks are delivered again, and every other order is due.
    async fn settle_and_wait_for_nobody(&self) {
        self.assert_no_payable_intent_was_canceled().await;
        for (order, pays_by) in &self.orders {
            if self.is_paid(pays_by) {
                self.settle(*order).await.unwrap();
            }
        }
        self.app
            .execute(
                "update orders set expires_at = now() - interval '1 second'
                  where status in ('PENDING', 'REQUIRES_PAYMENT')",
            )
            .await;
        self.app.wait_no_longer().await;
    }

    fn intent(pays_by: &str) -> String {
        pays_by.replacen("cs_", "pi_", 1)
    }

    fn is_paid(&self, pays_by: &str) -> bool {
        self.app.stripe.status(&Self::intent(pays_by)).as_deref() == Some("succeeded")
    }

    /// No call to end a payment arrived after its order was given more time, save one that was on
    /// its way.
    async fn assert_no_payable_intent_was_canceled(&self) {
        let orders: HashMap<String, Uuid> = self
            .orders
            .iter()
            .map(|(order, pays_by)| (Self::intent(pays_by), *order))
            .collect();
        let extended = self.extended.lock();
        let ends = self.app.stripe.calls().into_iter().filter(|call| {
            matches!(
                call.operation,
                Some(Operation::Cancel | Operation::ExpireSession)
            )
        });
        let late: Vec<_> = ends
            .filter_map(|call| {
                let id = call.path.rsplit('/').nth(1)?;
                let since = extended.get(orders.get(&Self::intent(id))?)?;
                let after = call.at.checked_duration_since(*since)?;
                (after > ON_ITS_WAY).then(|| format!("{id}: {after:?} after it was extended"))
            })
            .collect();
        assert!(late.is_empty(), "{late:#?}");
    }

    fn tally(&self) -> String {
        format!(
            "{ORDERS} orders: {} paid, {} extended, {} refunded; {} times Postgres was away",
            self.paid.load(Ordering::Relaxed),
            self.extended.lock().len(),
            self.refunded.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        )
    }

    /// Paid orders are paid or refunded, the others expired, with one event each.
    async fn assert_each_order_ended_once_and_rightly(&self) {
        let rows = sqlx::query(
            "select o.id, o.status, (select count(*)
                                       from audit_events e
                                      where e.entity_id = o.id::text
                                        and e.event_type = 'local.order.expired')
               from orders o",
        )
        .fetch_all(&self.db)
        .await
        .unwrap();
        let ends: HashMap<Uuid, (String, i64)> = rows
            .iter()
            .map(|row| (row.get(0), (row.get(1), row.get(2))))
            .collect();
        for (order, pays_by) in &self.orders {
            let (status, expiries) = &ends[order];
            let expected = if self.is_paid(pays_by) {
                ["PAID", "REFUNDED"].contains(&status.as_str()) && *expiries == 0
            } else {
                status == "EXPIRED" && *expiries == 1
            };
            assert!(expected, "{order} by {pays_by}: {status}, {expiries} times");
        }
        assert!(self.app.stripe.max_effective_cancels() <= 1);
        // Else nothing of it was shown.
        assert!(self.paid.load(Ordering::Relaxed) > 0);
        assert!(self.refunded.load(Ordering::Relaxed) > 0);
        assert!(!self.extended.lock().is_empty());
    }
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

/// The runs and the totals count what the tables show, and each run has one line in the log.
async fn assert_ledger_agrees(app: &App) {
    let found = app
        .rows(
            "select sum((results ->> 'orders_expired')::bigint)
                        = (select count(*) from orders where status = 'EXPIRED') as expired,
                    sum((results ->> 'stock_released')::bigint)
                        = (select sum(quantity) from stock_reservations
                            where status = 'RELEASED') as released,
                    sum((results ->> 'payment_intents_canceled')::bigint)
                        = (select count(*) from audit_events
                            where event_type = 'local.payment.canceled') as canceled,
                    sum((results ->> 'orders_expired')::bigint)
                        = (select total from job_totals
                            where job = 'expire-stale-orders' and kind = 'orders_expired')
                        as totals,
                    bool_and(status <> 'running') as ended,
                    bool_and((select count(*) from system_logs l where l.run_id = r.id) = 1)
                        as logged
               from job_runs r",
        )
        .await;
    let expected = json!([{ "expired": true, "released": true, "canceled": true, "totals": true,
                            "ended": true, "logged": true }]);
    assert_eq!(found, expected);
}
