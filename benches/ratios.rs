//! Ratios, not seconds: the job against the same work done otherwise, side by
//! side against one private Postgres with its durability on.
//!
//! `cargo bench --bench ratios [ORDERS]` prints a table: the median of seven
//! rounds of each, taken in turn, and the ratio to the job.
//!
//! - `one statement`: a set-based statement that does all of it at once,
//!   given to psql, and timed by the server's own clock.
//! - `the job`: delivered over HTTP as QStash would, batches of 100.
//! - `order by order`: a transaction per order, on a tenth of the orders,
//!   times ten.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use service::Side;
use side_by_side::median;

#[path = "side_by_side/service.rs"]
mod service;
mod side_by_side;

const ROUNDS: usize = 7;

#[tokio::main]
async fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let orders: u32 = asked.unwrap_or(10_000);
    let side = Side::start().await;
    let mut db = PgConnection::connect(&side.database).await.unwrap();

    let (mut statement, mut job, mut one_by_one) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        seed(&mut db, orders).await;
        let by_statement = side.psql(ONE_STATEMENT);
        seed(&mut db, orders).await;
        let by_job = expire(&side, orders).await;
        seed(&mut db, orders / 10).await;
        let by_order = order_by_order(&mut db, orders / 10).await * 10;
        // The first round only warms up.
        if round > 0 {
            statement.push(by_statement);
            job.push(by_job);
            one_by_one.push(by_order);
        }
    }
    println!("{orders} stale orders without intents, medians of {ROUNDS} rounds");
    for (name, times) in [
        ("one statement", &statement),
        ("the job", &job),
        ("order by order", &one_by_one),
    ] {
        // Round by round, because the machine's speed drifts.
        let ratios = job
            .iter()
            .zip(times)
            .map(|(job, other)| job.as_secs_f64() / other.as_secs_f64());
        let (time, ratio) = (
            median(times.iter().map(Duration::as_secs_f64)),
            median(ratios),
        );
        println!("{name:<16}{:>9.1} ms   job / this = {ratio:.3}", time * 1e3);
    }
}

/// Overdue orders, each with one item of three units out of 500 levels.
async fn seed(db: &mut PgConnection, orders: u32) {
    let sql = format!(
        "truncate orders, order_items, stock_levels, stock_reservations, payment_intents,
                  order_expirations, audit_events, alerts, system_logs, job_runs cascade;
         insert into stock_levels (sku, location, on_hand, reserved)
         select 'SKU-' || n, 'main', 100000, 0 from generate_series(1, 500) n;
         insert into orders (order_number, status, expires_at, created_at)
         select 'O-' || n, 'PENDING', now() - n * interval '1 second', now() - interval '1 day'
           from generate_series(1, {orders}) n;
         insert into stock_reservations (order_id, stock_level_id, quantity)
         select o.id, s.id, 3
           from (select id, row_number() over () as n from orders) o
           join (select id, row_number() over () as n from stock_levels) s on s.n = 1 + o.n % 500;
         update stock_levels s
            set reserved = (select coalesce(sum(quantity), 0) from stock_reservations r
                             where r.stock_level_id = s.id);"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *db)
        .await
        .unwrap();
    // Outside a transaction block, as VACUUM asks; a checkpoint, so that none
    // falls into a round by chance.
    for sql in ["vacuum analyze", "checkpoint"] {
        sqlx::raw_sql(sql).execute(&mut *db).await.unwrap();
    }
}

const ONE_STATEMENT: &str = "
    with due as (
        select id from orders
         where status in ('PENDING', 'REQUIRES_PAYMENT') and expires_at <= now()
         order by id
           for update skip locked
    ), expired as (
        update orders o set status = 'EXPIRED', expired_at = now(), updated_at = now()
          from due where o.id = due.id
           and not exists (select from payment_intents p
                            where p.order_id = o.id and p.status <> 'canceled')
        returning o.id, o.order_number
    ), released as (
        update stock_reservations r
           set status = 'RELEASED', released_at = now(), release_reason = 'order_expired'
          from expired where r.order_id = expired.id and r.status = 'ACTIVE'
        returning r.stock_level_id, r.quantity
    ), freed as (
        update stock_levels s set reserved = s.reserved - t.quantity
          from (select stock_level_id, sum(quantity)::int as quantity
                  from released group by 1) t
         where s.id = t.stock_level_id
    )
    insert into audit_events (event_type, entity_type, entity_id, actor, payload)
    select 'local.order.expired', 'order', id::text, 'psql',
           jsonb_build_object('order_number', order_number)
      from expired";

/// What a loop over the orders does: a transaction each, as services do that
/// work row by row.
async fn order_by_order(db: &mut PgConnection, orders: u32) -> Duration {
    let begin = Instant::now();
    let due: Vec<uuid::Uuid> = sqlx::query_scalar(
        "select id from orders where status = 'PENDING' and expires_at <= now() order by expires_at",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    assert_eq!(due.len(), orders as usize);
    for order in due {
        let mut tx = db.begin().await.unwrap();
        for sql in [
            "update orders set status = 'EXPIRED', expired_at = now() where id = $1",
            "update stock_levels s set reserved = reserved - r.quantity
               from stock_reservations r
              where r.stock_level_id = s.id and r.order_id = $1 and r.status = 'ACTIVE'",
            "update stock_reservations set status = 'RELEASED' where order_id = $1",
            "insert into audit_events (event_type, entity_type, entity_id)
             values ('local.order.expired', 'order', $1::uuid::text)",
        ] {
            sqlx::query(sql)
                .bind(order)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
    }
    begin.elapsed()
}

async fn expire(side: &Side, orders: u32) -> Duration {
    let (time, results) = side.deliver("expire-stale-orders", "{}").await;
    assert_eq!(results["orders_expired"], orders, "{results}");
    time
}
