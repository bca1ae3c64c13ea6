//! What the shop does, and what it was told it had done.
//!
//! The end is judged by the tables, by Stripe and by that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jarvis_cron::demo::stripe_double::{Operation, Session};
use parking_lot::Mutex;
use sqlx::Row;
use tokio::time::sleep;
use uuid::Uuid;

use crate::app::App;
use crate::crashes::number_below;
use crate::payments::OPEN;

/// From the last look to the call's arrival; a machine that is busy takes its time.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// The shop, until it closes.
pub(super) struct Shop<'a> {
    app: &'a App,
    /// Each order and how its customer pays: an intent or a session.
    orders: Vec<(Uuid, String)>,
    extended: Mutex<HashMap<Uuid, Instant>>,
    paid: AtomicUsize,
    refunded: AtomicUsize,
    unsure: AtomicUsize,
    is_closed: AtomicBool,
}

impl<'a> Shop<'a> {
    /// So many orders of three units, with an open intent each. Of twenty, an older system calls one
    /// canceled and one succeeded, and one has a session that has no intent yet.
    pub(super) async fn open(app: &'a App, orders: i32) -> Self {
        app.stale_orders(orders, 3).await;
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
        for (_, session) in orders.iter().filter(|(_, id)| id.starts_with("cs_")) {
            app.stripe.add_session(Session::new(session, "open"));
        }
        Self {
            app,
            orders,
            extended: Mutex::default(),
            paid: AtomicUsize::default(),
            refunded: AtomicUsize::default(),
            unsure: AtomicUsize::default(),
            is_closed: AtomicBool::default(),
        }
    }

    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// One thing after the other, until it closes. When Postgres is away, the shop does not know
    /// whether it has happened.
    pub(super) async fn live(&self) {
        while !self.is_closed.load(Ordering::Relaxed) {
            let done = match number_below(10) {
                0..3 => self.pay(true).await,
                3 => self.pay(false).await,
                4..8 => self.extend().await,
                _ => self.refund().await,
            };
            if done.is_err() {
                self.unsure.fetch_add(1, Ordering::Relaxed);
            }
            // The shop's pace.
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// A customer pays whose payment has not ended; the webhook may be lost.
    async fn pay(&self, is_heard: bool) -> sqlx::Result<()> {
        let any = number_below(u32::try_from(self.orders.len()).unwrap()) as usize;
        let can_pay = |id: &str| {
            self.app.stripe.status(id).as_deref() == Some(OPEN)
                || self.app.stripe.session_status(id).as_deref() == Some("open")
        };
        let mut from_any = self.orders.iter().cycle().skip(any).take(200);
        if let Some((order, id)) = from_any.find(|(_, id)| can_pay(id))
            && self.app.stripe.pay(id, "succeeded")
        {
            self.paid.fetch_add(1, Ordering::Relaxed);
            if is_heard {
                self.settle(*order).await?;
            }
        }
        Ok(())
    }

    /// What the webhook does: the intent, the order and the stock, in one transaction.
    async fn settle(&self, order: Uuid) -> sqlx::Result<()> {
        let mut tx = self.app.db.begin().await?;
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

    /// Gives more time to an order that has had none.
    async fn extend(&self) -> sqlx::Result<()> {
        let extended: Option<Uuid> = sqlx::query_scalar(
            "update orders set expires_at = now() + interval '1 hour', updated_at = now()
              where id = (select id from orders
                           where status in ('PENDING', 'REQUIRES_PAYMENT')
                             and expires_at <= now()
                           order by random() limit 1
                             for update skip locked)
             returning id",
        )
        .fetch_optional(&self.app.db)
        .await?;
        let mut known = self.extended.lock();
        known.extend(extended.map(|order| (order, Instant::now())));
        Ok(())
    }

    async fn refund(&self) -> sqlx::Result<()> {
        let refunded = sqlx::query(
            "update orders set status = 'REFUNDED', updated_at = now()
              where id = (select id from orders where status = 'PAID' order by random() limit 1
                             for update skip locked)",
        )
        .execute(&self.app.db)
        .await?;
        let refunded = usize::try_from(refunded.rows_affected()).unwrap();
        self.refunded.fetch_add(refunded, Ordering::Relaxed);
        Ok(())
    }

    /// The day is over: lost webhooks are delivered again, and every other order is due.
    pub(super) async fn end_the_day(&self) {
        self.assert_no_payable_intent_was_canceled();
        for (order, id) in &self.orders {
            if self.is_paid(id) {
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

    fn is_paid(&self, id: &str) -> bool {
        self.app.stripe.status(&intent(id)).as_deref() == Some("succeeded")
    }

    /// No call to end a payment arrived after its order was given more time, save one that was on
    /// its way.
    fn assert_no_payable_intent_was_canceled(&self) {
        let orders = self.orders.iter();
        let orders: HashMap<String, Uuid> =
            orders.map(|(order, id)| (intent(id), *order)).collect();
        let extended = self.extended.lock();
        let mut late = Vec::new();
        for call in self.app.stripe.calls() {
            let ends = [Operation::Cancel, Operation::ExpireSession];
            if !call.operation.is_some_and(|it| ends.contains(&it)) {
                continue;
            }
            // Such as /v1/payment_intents/pi_1/cancel.
            let id = intent(call.path.rsplit('/').nth(1).unwrap());
            let since = extended.get(&orders[&id]);
            let after = since.and_then(|since| call.at.checked_duration_since(*since));
            late.extend(after.filter(|after| *after > ON_ITS_WAY).map(|it| (id, it)));
        }
        assert!(late.is_empty(), "{late:#?}");
    }

    pub(super) fn tally(&self) -> String {
        format!(
            "{} orders: {} paid, {} extended, {} refunded; {} times the shop was unsure",
            self.orders.len(),
            self.paid.load(Ordering::Relaxed),
            self.extended.lock().len(),
            self.refunded.load(Ordering::Relaxed),
            self.unsure.load(Ordering::Relaxed),
        )
    }

    /// Paid orders are paid or refunded, the others expired, with one event each.
    pub(super) async fn assert_each_order_ended_once_and_rightly(&self) {
        let rows = sqlx::query(
            "select o.id, o.status, (select count(*)
                                       from audit_events e
                                      where e.entity_id = o.id::text
                                        and e.event_type = 'local.order.expired')
               from orders o",
        )
        .fetch_all(&self.app.db)
        .await
        .unwrap();
        let ends = rows
            .iter()
            .map(|row| (row.get(0), (row.get(1), row.get(2))));
        let ends: HashMap<Uuid, (String, i64)> = ends.collect();
        for (order, id) in &self.orders {
            let (status, expiries) = &ends[order];
            let is_right = if self.is_paid(id) {
                ["PAID", "REFUNDED"].contains(&status.as_str()) && *expiries == 0
            } else {
                status == "EXPIRED" && *expiries == 1
            };
            assert!(is_right, "{order} by {id}: {status}, {expiries} times");
        }
        assert!(self.app.stripe.max_effective_cancels() <= 1);
        // Else nothing was shown of these.
        let happened = [&self.paid, &self.refunded].map(|it| it.load(Ordering::Relaxed) > 0);
        assert_eq!(
            (happened, self.extended.lock().is_empty()),
            ([true, true], false)
        );
    }
}

/// The intent by which a customer pays, also one with a session.
fn intent(id: &str) -> String {
    id.replacen("cs_", "pi_", 1)
}
