//! `migrate` beside others at work: how long the slowest reader and writer waited.
//!
//! `cargo bench --bench migrate [VISITS]` fills a Postgres with its durability on
//! as it was before the leases of today, with five million visits, a tenth as
//! many payment intents and runs, and has readers and writers use every table
//! that the later migrations touch, and `visits`. One of the writers holds its
//! rows for most of a second each time. Prints the longest wait of each; fails when one is over a
//! second.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jarvis_cron::cli::migrate;
use jarvis_cron::config::Settings;
use jarvis_cron::database::migrating::{Patience, Step};
use jarvis_cron::database::obstacles::Others;
use jarvis_cron::database::{MIGRATOR, Schema};
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// The last migration of the state that is filled.
const BEFORE: i64 = 20_261_124_000_004;
/// How long a reader or writer may wait.
const BAR: Duration = Duration::from_secs(1);

/// Who is at work: a name, and a statement with a random number as `{n}`.
const WORK: [(&str, &str); 9] = [
    (
        "read visits",
        "select count(*) from visits where member_id = md5('{n}')::uuid and checked_in_at > now() - interval '90 days'",
    ),
    (
        "write visits",
        "insert into visits (gym_id, member_id, checked_in_at) select gym_id, id, now() from members where id = md5('{n}')::uuid",
    ),
    (
        "read payment intents",
        "select * from payment_intents where stripe_payment_intent_id = 'pi_{n}'",
    ),
    (
        "write payment intents",
        "update payment_intents set updated_at = now() where stripe_payment_intent_id = 'pi_{n}'",
    ),
    (
        "read runs",
        "select * from job_runs where message_id = 'msg_{n}'",
    ),
    (
        "write runs",
        "insert into job_runs (id, job, trigger, message_id) values (gen_random_uuid(), 'x', 'qstash', 'new_{n}')",
    ),
    (
        "write order expirations",
        "update order_expirations set attempts = attempts + 1 where order_id = md5('{n}')::uuid",
    ),
    (
        "write deliveries",
        "update report_deliveries set attempts = attempts + 1 where recipient = '{n}@gym.test'",
    ),
    (
        "write slowly",
        "with held as (select pg_sleep(0.6)) update payment_intents set updated_at = now() from held where stripe_payment_intent_id = 'pi_{n}'",
    ),
];

#[tokio::main]
async fn main() {
    let asked = std::env::args().skip(1).find_map(|it| it.parse().ok());
    let visits: u32 = asked.unwrap_or(5_000_000);
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let postgres = PrivatePostgres::start(&programs, home, Auth::Password)
        .await
        .unwrap();
    let database = postgres.url("postgres");
    let mut db = PgConnection::connect(&database).await.unwrap();
    MIGRATOR.run_to(BEFORE, &mut db).await.unwrap();
    fill(&mut db, visits).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = WORK
        .map(|(name, statement)| {
            let work = work(database.clone(), statement, visits, Arc::clone(&is_over));
            (name, tokio::spawn(work))
        })
        .into();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let began = Instant::now();
    let tell = |step: Step<'_>| match step {
        Step::Wait | Step::WaitsLong => {}
        Step::Apply(it) => println!(
            "{:>7.2} s  {} {}",
            began.elapsed().as_secs_f64(),
            it.version,
            it.description
        ),
        Step::Blocked(pid, what) => println!("           waits for {pid} {what}"),
        Step::TryAgain(_, tries) => println!(
            "{:>7.2} s  in use, try {}",
            began.elapsed().as_secs_f64(),
            tries + 1
        ),
    };
    let options = database.parse().unwrap();
    let migrated = migrate::run(
        options,
        &Schema::default(),
        &Others::default(),
        &Patience::default(),
        tell,
    )
    .await
    .unwrap();
    println!(
        "{:>7.2} s  {} migrations, {visits} visits\n",
        began.elapsed().as_secs_f64(),
        migrated.applied
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    is_over.store(true, Ordering::Relaxed);

    println!("{:<26} {:>8} {:>14}", "", "done", "longest wait");
    let mut longest = Duration::ZERO;
    for (name, worker) in workers {
        let (done, waited) = worker.await.unwrap();
        println!("{name:<26} {done:>8} {:>11} ms", waited.as_millis());
        longest = longest.max(waited);
    }
    assert!(longest < BAR, "{longest:?} is over the bar of {BAR:?}");
}

/// Repeats a statement; answers how often, and how long the slowest took.
async fn work(
    database: String,
    statement: &str,
    rows: u32,
    is_over: Arc<AtomicBool>,
) -> (u32, Duration) {
    let mut db = PgConnection::connect(&database).await.unwrap();
    let own = if statement.contains("pg_sleep") {
        Duration::from_millis(600)
    } else {
        Duration::ZERO
    };
    let (mut done, mut longest, mut n) = (0, Duration::ZERO, 1_u32);
    while !is_over.load(Ordering::Relaxed) {
        // Another row each time, the same ones in every run.
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let statement = statement.replace("{n}", &(n % (rows / 10).max(1)).to_string());
        let began = Instant::now();
        db.execute(AssertSqlSafe(statement)).await.unwrap();
        longest = longest.max(began.elapsed().saturating_sub(own));
        done += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (done, longest)
}

async fn fill(db: &mut PgConnection, visits: u32) {
    let few = visits / 10;
    let statements = format!(
        "insert into gyms (name, slug, status)
         select 'Gym ' || n, 'gym-' || n, 'active' from generate_series(1, 100) n;
         insert into members (id, gym_id)
         select md5(n::text)::uuid, (select id from gyms where slug = 'gym-' || n % 100 + 1)
           from generate_series(1, {few}) n;
         insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, now() - n * interval '7 days'
           from members, generate_series(1, 10) n;
         insert into orders (id, order_number, status)
         select md5(n::text)::uuid, 'O-' || n, 'PAID' from generate_series(1, {few}) n;
         insert into payment_intents (order_id, stripe_payment_intent_id, amount)
         select md5(n::text)::uuid, 'pi_' || n, 100 from generate_series(1, {few}) n;
         insert into order_expirations (order_id, last_outcome)
         select id, 'deferred' from orders limit {few} / 10;
         insert into job_runs (id, job, trigger, message_id, signature_jti, status)
         select gen_random_uuid(), 'x', 'qstash', 'msg_' || n, 'jwt_' || n, 'succeeded'
           from generate_series(1, {few}) n;
         insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone,
                                     content_hash)
         select id, 2000 + y, w, now(), now() + interval '7 days', 'Europe/Paris', 'h'
           from gyms, generate_series(1, 20) y, generate_series(1, 50) w;
         insert into report_deliveries (report_id, recipient, sent_at)
         select id, row_number() over () || '@gym.test', now() from weekly_reports"
    );
    for statement in statements.split(';') {
        db.execute(AssertSqlSafe(statement.to_owned()))
            .await
            .unwrap();
    }
    db.execute("vacuum analyze").await.unwrap();
}
