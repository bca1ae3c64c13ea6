//! What messages of our own do: a backlog drained by continuations, and jobs
//! divided among two processes; with the real program, a Postgres with its
//! durability on, and QStash's double, which delivers.
//!
//! `cargo bench --bench messages [ORDERS]` prints two tables.
//!
//! - `continuations`: so many overdue orders, each with an intent open at
//!   Stripe and with stock of its own, and `RUN_BUDGET_SECONDS=2`. One delivery,
//!   and then what the service asks for by itself.
//! - `fan-out`: the time from the call to the end of the last shard, for one
//!   run in one process, four shards in one process, and four shards in two.
//!   Bound by Stripe's rate limit, which is per process; by the database; and
//!   by Postgres and this program both computing. On two cores, which Postgres,
//!   the processes and both doubles share.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::path::Path;

use jarvis_cron::cli::migrate;
use jarvis_cron::config::Settings;
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use site::Site;

mod program;
#[path = "side_by_side/site.rs"]
mod site;

const EXPIRE: &str = "expire-stale-orders";
const CHURN: &str = "daily-churn-analysis";

#[tokio::main]
async fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let orders: u32 = asked.unwrap_or(20_000);
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let postgres = PrivatePostgres::start(&programs, home, Auth::Password)
        .await
        .unwrap();
    let database = postgres.url("postgres");
    migrate::apply(database.parse().unwrap()).await.unwrap();
    let mut db = PgConnection::connect(&database).await.unwrap();

    continuations(&database, &mut db, orders).await;

    println!("\nfan-out: seconds from the call to the end of the last shard");
    println!(
        "{:<44} {:>8} {:>8} {:>8}   speed-up",
        "", "1 x 1", "1 x 4", "2 x 4"
    );
    compare(&database, &mut db, &RATE_LIMITED).await;
    compare(&database, &mut db, &IN_THE_DATABASE).await;
    compare(&database, &mut db, &COMPUTING).await;
}

/// A backlog, and what became of it.
async fn continuations(database: &str, db: &mut PgConnection, orders: u32) {
    let site = Site::start(
        database,
        1,
        &[("RUN_BUDGET_SECONDS", "2"), ("STRIPE_MAX_RPS", "10000")],
    )
    .await;
    stale_orders(db, orders).await;
    site.open_intents(db).await;
    let took = site.deliver(EXPIRE, "{}").await;

    println!("continuations: {orders} orders with intents, RUN_BUDGET_SECONDS=2, one delivery");
    let rows = [
        ("seconds, all told", format!("{:.1}", took.as_secs_f64())),
        ("runs in the chain", text(db, "select max(chain_position)::text from job_runs").await),
        ("how they ended", text(db, "select string_agg(n || ' ' || status, ', ') from (select status, count(*) n from job_runs group by 1) s").await),
        ("messages published, deliveries made", site.messages()),
        ("orders expired", text(db, "select count(*)::text from orders where status = 'EXPIRED'").await),
        ("times an order was expired, at the most", text(db, "select max(n)::text from (select count(*) n from audit_events where event_type = 'local.order.expired' group by entity_id) s").await),
        ("intents canceled at Stripe, at the most per intent", format!("{}, {}", site.stripe.cancel_effects().len(), site.stripe.max_effective_cancels())),
        ("units reserved, units released", text(db, "select (select sum(reserved) from stock_levels) || ', ' || (select sum(quantity) from stock_reservations where status = 'RELEASED')").await),
        ("the same, summed over the runs' results", text(db, "select sum((results ->> 'orders_expired')::int) || ' orders, ' || sum((results ->> 'stock_released')::int) || ' units' from job_runs").await),
    ];
    for (what, value) in rows {
        println!("  {what:<52} {value}");
    }
}

/// What is divided.
struct Work {
    name: &'static str,
    job: &'static str,
    stripe_max_rps: &'static str,
    /// Whether orders have intents open at Stripe.
    with_intents: bool,
    size: u32,
}

const RATE_LIMITED: Work = Work {
    name: "1,000 orders with intents, 200 calls a second",
    job: EXPIRE,
    stripe_max_rps: "200",
    with_intents: true,
    size: 1_000,
};
const IN_THE_DATABASE: Work = Work {
    name: "30,000 orders without intents",
    job: EXPIRE,
    stripe_max_rps: "200",
    with_intents: false,
    size: 30_000,
};
const COMPUTING: Work = Work {
    name: "50,000 members to score, 1 M visits",
    job: CHURN,
    stripe_max_rps: "200",
    with_intents: false,
    size: 50_000,
};

async fn compare(database: &str, db: &mut PgConnection, work: &Work) {
    let mut times = Vec::new();
    for (processes, body) in [
        (1, "{}"),
        (1, r#"{"fan_out": 4}"#),
        (2, r#"{"fan_out": 4}"#),
    ] {
        let settings = [("STRIPE_MAX_RPS", work.stripe_max_rps)];
        let site = Site::start(database, processes, &settings).await;
        if work.job == CHURN {
            members(db, work.size).await;
        } else {
            stale_orders(db, work.size).await;
        }
        if work.with_intents {
            site.open_intents(db).await;
        }
        times.push(site.deliver(work.job, body).await.as_secs_f64());
        let bad = text(
            db,
            "select count(*)::text from job_runs where status <> 'succeeded'",
        )
        .await;
        assert_eq!(bad, "0", "{}", work.name);
    }
    let [one, shards, two] = [times[0], times[1], times[2]];
    println!(
        "{:<44} {one:>8.2} {shards:>8.2} {two:>8.2}   {:.2}",
        work.name,
        one / two
    );
}

async fn stale_orders(db: &mut PgConnection, orders: u32) {
    let sql = format!(
        "with made as (
             insert into orders (order_number, status, expires_at, created_at)
             select 'O-' || n, 'PENDING', now() - interval '10 minutes' - n * interval '1 second',
                    now() - interval '1 day'
               from generate_series(1, {orders}) n
             returning id
         ), numbered as (
             select id, gen_random_uuid() as level from made
         ), levels as (
             insert into stock_levels (id, sku, location, on_hand, reserved)
             select level, 'SKU-' || level, 'main', 100, 3 from numbered
         )
         insert into stock_reservations (order_id, stock_level_id, quantity)
         select id, level, 3 from numbered"
    );
    execute(db, EMPTY).await;
    execute(db, &sql).await;
    for table in ["orders", "stock_levels", "stock_reservations"] {
        execute(db, &format!("vacuum analyze {table}")).await;
    }
}

async fn members(db: &mut PgConnection, members: u32) {
    execute(db, EMPTY).await;
    let sql = format!(
        "insert into gyms (name, slug, status) select n, n, 'active' from generate_series(1, 100) n;
         insert into members (gym_id, joined_on, first_name, last_name)
         select id, current_date - 400, 'Zebulon', 'Quartz'
           from gyms, generate_series(1, {members} / 100);
         insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, now() - n * (1 + abs(hashtext(id::text)) % 9) * interval '1 day'
           from members, generate_series(1, 20) n"
    );
    execute(db, &sql).await;
    for table in ["members", "visits"] {
        execute(db, &format!("vacuum analyze {table}")).await;
    }
}

const EMPTY: &str = "truncate orders, stock_levels, stock_reservations, payment_intents, gyms,
    members, visits, member_churn, member_churn_history, alerts, audit_events, system_logs,
    job_runs, order_expirations cascade";

async fn execute(db: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(db)
        .await
        .unwrap();
}

async fn text(db: &mut PgConnection, sql: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(db)
        .await
        .unwrap()
}
