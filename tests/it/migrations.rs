//! The tables: what the database itself refuses, and which indexes are used.

use crate::app::{App, now};

mod applying;
mod breaking_off;
mod places;
mod pooled;
mod refusing;
mod roles;

/// The plan of the pick, with its parameters filled in.
const PICK: &str = "
    explain select o.id, o.expires_at
      from orders o
     where o.status in ('PENDING', 'REQUIRES_PAYMENT')
       and o.expires_at <= now()
       and o.created_at <= now()
       and not exists (
           select from order_expirations x
            where x.order_id = o.id
              and x.next_attempt_at > now()
       )
     order by o.expires_at, o.id
     limit 100";

#[tokio::test]
async fn the_pick_of_stale_orders_uses_its_partial_index() {
    let app = App::new().await;
    app.stale_orders(20, 1).await;
    app.execute(
        "insert into orders (order_number, status, expires_at)
         select 'P-' || n, 'PAID', now() - interval '1 day' from generate_series(1, 20000) n;
         analyze orders",
    )
    .await;

    let plan: Vec<String> = sqlx::query_scalar(PICK).fetch_all(&app.db).await.unwrap();

    let plan = plan.join("\n");
    assert!(plan.contains("orders_unpaid_by_expiry"), "{plan}");
}

#[tokio::test]
async fn the_release_of_stock_uses_its_partial_index() {
    let app = App::new().await;
    app.stale_orders(200, 1).await;
    app.execute(
        "insert into stock_reservations (order_id, stock_level_id, quantity, status)
         select order_id, stock_level_id, 1, 'RELEASED'
           from stock_reservations, generate_series(1, 100);
         analyze stock_reservations",
    )
    .await;

    let plan: Vec<String> = sqlx::query_scalar(
        "explain update stock_reservations set status = 'RELEASED'
          where order_id = any(array(select id from orders limit 100)) and status = 'ACTIVE'",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();

    let plan = plan.join("\n");
    assert!(
        plan.contains("stock_reservations_active_of_order"),
        "{plan}"
    );
}

#[tokio::test]
async fn the_walk_over_stale_intents_uses_its_partial_index() {
    let app = App::new().await;
    app.execute(
        "insert into payment_intents (stripe_payment_intent_id, status, synced_status,
                                      last_synced_at, amount, created_at, updated_at)
         select 'pi_' || n, case n % 50 when 0 then 'requires_action' else 'succeeded' end,
                'succeeded', now() - interval '1 day', 1,
                now() - interval '30 days', now() - n * interval '1 minute'
           from generate_series(1, 20000) n;
         analyze payment_intents",
    )
    .await;
    let statement = include_str!("../../src/jobs/cleanup_stale_payment_intents/stale.sql");
    let no_time = None::<chrono::DateTime<chrono::Utc>>;
    let no_id = None::<uuid::Uuid>;

    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain {statement}")))
        .bind(now())
        .bind(now() - chrono::Duration::days(7))
        .bind(now() - chrono::Duration::hours(1))
        .bind(no_time)
        .bind(no_id)
        .bind(0)
        .bind(1)
        .bind(None::<Vec<uuid::Uuid>>)
        .bind(50_i64)
        .bind(now() - chrono::Duration::days(6))
        .persistent(false)
        .fetch_all(&app.db)
        .await
        .unwrap();

    let plan = plan.join("\n");
    assert!(plan.contains("payment_intents_unsettled_by_turn"), "{plan}");
    assert!(!plan.contains("Sort"), "{plan}");
}

#[tokio::test]
async fn every_table_of_the_contract_is_there() {
    let app = App::new().await;
    let sql =
        "select count(*) from pg_tables where schemaname = current_schema() and tablename in (
        'orders', 'order_items', 'stock_levels', 'stock_reservations', 'payment_intents',
        'order_expirations', 'audit_events', 'gyms', 'members', 'visits', 'conversation_sessions',
        'conversation_events', 'member_churn', 'member_churn_history', 'kiosks',
        'kiosk_heartbeats', 'alerts', 'weekly_reports', 'report_recipients', 'report_deliveries',
        'retention_policies', 'legal_holds', 'erasure_log', 'system_logs', 'job_runs',
        'job_leases', 'job_pauses')";

    assert_eq!(app.count(sql).await, 27);
}

#[tokio::test]
async fn the_books_refuse_what_cannot_be() {
    let app = App::new().await;
    app.stale_order().await;
    for impossible in [
        "update stock_levels set reserved = -1",
        "update stock_reservations set quantity = 0",
        "update orders set status = 'LOST'",
        "update orders set expires_at = '-infinity'",
        "insert into payment_intents (stripe_payment_intent_id, amount, updated_at)
         values ('pi_x', 1, '-infinity')",
        "insert into payment_intents (amount) values (1)",
        "insert into job_runs (id, job, trigger) values (gen_random_uuid(), 'x', 'cron')",
        "insert into job_runs (id, job, trigger, signature_jti)
         select gen_random_uuid(), 'x', 'qstash', 'jwt_1' from generate_series(1, 2)",
        "insert into alerts (kind, dedup_key, title)
         select 'x', 'x:1', 'x' from generate_series(1, 2)",
    ] {
        let refused = sqlx::query(impossible).execute(&app.db).await;
        assert!(refused.is_err(), "accepted: {impossible}");
    }
}
