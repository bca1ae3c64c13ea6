//! Rows to begin with.

use jarvis_cron::demo::stripe_double::Intent;
use uuid::Uuid;

use crate::app::App;

impl App {
    /// An order ten minutes overdue, with three units reserved on a level of
    /// its own; nothing is asked of Stripe.
    pub(crate) async fn stale_order(&self) -> Uuid {
        self.stale_orders(1, 3).await[0]
    }

    /// An overdue order whose intent stands so here and so at Stripe.
    /// `None` at Stripe: it does not know the intent.
    pub(crate) async fn stale_order_with_intent(
        &self,
        here: &str,
        at_stripe: Option<&str>,
    ) -> (Uuid, String) {
        let order = self.stale_order().await;
        let intent = self.intent(order, here, at_stripe).await;
        (order, intent)
    }

    /// One more intent of an order; answers its Stripe id.
    pub(crate) async fn intent(&self, order: Uuid, here: &str, at_stripe: Option<&str>) -> String {
        let stripe_id = format!("pi_{}", Uuid::new_v4().simple());
        if let Some(status) = at_stripe {
            self.stripe.add(Intent::new(&stripe_id, status));
        }
        sqlx::query(
            "insert into payment_intents (order_id, stripe_payment_intent_id, status, amount)
             values ($1, $2, $3, 1000)",
        )
        .bind(order)
        .bind(&stripe_id)
        .bind(here)
        .execute(&self.db)
        .await
        .unwrap();
        stripe_id
    }

    /// So many overdue orders, each holding `units` of its own stock level.
    pub(crate) async fn stale_orders(&self, count: i32, units: i32) -> Vec<Uuid> {
        sqlx::query_scalar(
            "with made as (
                 insert into orders (order_number, status, expires_at, created_at)
                 select 'O-' || gen_random_uuid(), 'PENDING',
                        now() - interval '10 minutes' - n * interval '1 second',
                        now() - interval '1 day'
                   from generate_series(1, $1) n
                 returning id
             ), numbered as (
                 select id, gen_random_uuid() as level from made
             ), levels as (
                 insert into stock_levels (id, sku, location, on_hand, reserved)
                 select level, 'SKU-' || level, 'main', 100, $2 from numbered
             )
             insert into stock_reservations (order_id, stock_level_id, quantity)
             select id, level, $2 from numbered
             returning order_id",
        )
        .bind(count)
        .bind(units)
        .fetch_all(&self.db)
        .await
        .unwrap()
    }

    /// An open intent for every overdue order, here and at Stripe.
    pub(crate) async fn open_intents_for_all(&self) {
        let ids: Vec<String> = sqlx::query_scalar(
            "insert into payment_intents (order_id, stripe_payment_intent_id, status, amount)
             select id, 'pi_' || replace(id::text, '-', ''), 'requires_payment_method', 1000
               from orders
             returning stripe_payment_intent_id",
        )
        .fetch_all(&self.db)
        .await
        .unwrap();
        self.stripe.add_all(
            ids.iter()
                .map(|id| Intent::new(id, "requires_payment_method")),
        );
    }

    pub(crate) async fn order_status(&self, order: Uuid) -> String {
        sqlx::query_scalar("select status from orders where id = $1")
            .bind(order)
            .fetch_one(&self.db)
            .await
            .unwrap()
    }
}

impl App {
    /// All that is known of an order, in one line.
    pub(crate) async fn story(&self, order: Uuid) -> String {
        sqlx::query_scalar(
            "select concat_ws('; ',
                 o.status,
                 (select 'reserved ' || max(s.reserved) || ', '
                      || string_agg(r.status, ' ' order by r.status)
                    from stock_reservations r
                    join stock_levels s on s.id = r.stock_level_id
                   where r.order_id = o.id),
                 (select 'intent ' || string_agg(p.status, ' ' order by p.status)
                    from payment_intents p where p.order_id = o.id),
                 (select last_outcome from order_expirations x where x.order_id = o.id),
                 (select 'alert ' || string_agg(kind, ' ' order by kind)
                    from alerts a where a.order_id = o.id and a.status = 'open'),
                 (select 'events ' || string_agg(event_type, ' ' order by event_type)
                    from audit_events e
                   where e.entity_id = o.id::text
                      or e.entity_id in (select id::text from payment_intents where order_id = o.id)))
               from orders o
              where o.id = $1",
        )
        .bind(order)
        .fetch_one(&self.db)
        .await
        .unwrap()
    }
}
