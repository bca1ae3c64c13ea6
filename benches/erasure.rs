//! Erasing a million old rows among a million young ones: the job against one
//! plain DELETE, side by side against one private Postgres with its
//! durability on.
//!
//! `cargo bench --bench erasure [ROWS]` prints, for conversation events and
//! for heartbeats, the medians of five rounds, taken in turn, and the ratio of
//! the job to the statement, round by round.
//!
//! - `one DELETE`: given to psql, and timed by psql.
//! - `the job`: `jarvis-cron run cleanup-old-data`, a process of its own, from
//!   its start to its end.
//!
//! Besides: the longest that any transaction of the job was open, which no
//! lock outlives, and the most memory that its process ever used.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use jarvis_cron::cli::migrate;
use jarvis_cron::database::Schema;
use jarvis_cron::demo::postgres::{PrivatePostgres, Programs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::process::Command;

mod side_by_side;

use side_by_side::{durable_postgres, median, psql};

const ROUNDS: usize = 5;

/// A table, its rows, and the statement that does what the job does.
struct Case {
    name: &'static str,
    rows: &'static str,
    statement: &'static str,
}

const CASES: [Case; 2] = [
    Case {
        name: "conversation_events",
        rows: "insert into conversation_events (session_id, event_type, transcript, occurred_at)
               select (select id from conversation_sessions where turn_count = n % 1000), 'user.transcript',
                      repeat('What is open on Sunday? ', 4), ",
        statement: "delete from conversation_events where occurred_at < now() - interval '90 days'",
    },
    Case {
        name: "kiosk_heartbeats",
        rows: "insert into kiosk_heartbeats (kiosk_id, metrics, received_at)
               select (select id from kiosks), '{\"cpu\": 40, \"memory\": 50}', ",
        statement: "delete from kiosk_heartbeats where received_at < now() - interval '30 days'",
    },
];

#[tokio::main]
async fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let rows: u32 = asked.unwrap_or(1_000_000);
    let (programs, postgres) = durable_postgres().await;
    for case in CASES {
        seed(&postgres, &case, rows).await;
        let (mut statements, mut jobs, mut memory) = (Vec::new(), Vec::new(), 0);
        for round in 0..=ROUNDS {
            let by_statement = by_statement(&postgres, &programs, &case).await;
            let (by_job, most) = by_job(&postgres, rows).await;
            memory = memory.max(most);
            // The first round only warms up.
            if round > 0 {
                statements.push(by_statement.as_secs_f64());
                jobs.push(by_job.as_secs_f64());
            }
        }
        let longest = longest_transaction(&postgres, rows).await;
        let ratios = jobs.iter().zip(&statements).map(|(job, one)| job / one);
        println!(
            "{}: {rows} old rows, medians of {ROUNDS} rounds\n\
             one DELETE      {:>9.0} ms\n\
             the job         {:>9.0} ms   job / DELETE = {:.2}\n\
             longest transaction {:.0} ms, most memory {:.1} MB",
            case.name,
            median(statements.iter().copied()) * 1e3,
            median(jobs.iter().copied()) * 1e3,
            median(ratios),
            longest.as_secs_f64() * 1e3,
            f64::from(memory) / 1024.0,
        );
    }
}

/// Makes the database `seeded`, from which each round's is copied.
async fn seed(postgres: &PrivatePostgres, case: &Case, rows: u32) {
    let database = fresh(postgres, "seeded", "template1").await;
    migrate::apply(database.parse().unwrap(), &Schema::default())
        .await
        .unwrap();
    let mut db = PgConnection::connect(&database).await.unwrap();
    let dated = |keep: &str| {
        format!(
            "{} now() - interval '{keep}' - n * interval '1 second' from generate_series(1, {rows}) n",
            case.rows
        )
    };
    // Old ones end before the cutoff of either table, young ones begin after it.
    for sql in [
        "insert into gyms (name, slug) values ('A', 'a')",
        "insert into kiosks (gym_id, slug, name) select id, 'k', 'K' from gyms",
        "create index for_seeding on conversation_sessions (turn_count)",
        "insert into conversation_sessions (gym_id, turn_count)
         select id, n from gyms, generate_series(0, 999) n",
        &dated("120 days"),
        &dated("1 day"),
        "drop index for_seeding",
        "vacuum analyze",
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut db)
            .await
            .unwrap();
    }
    db.close().await.unwrap();
}

/// A new database of that name, copied from another; answers its address.
async fn fresh(postgres: &PrivatePostgres, name: &str, template: &str) -> String {
    let mut admin = PgConnection::connect(&postgres.url("postgres"))
        .await
        .unwrap();
    for sql in [
        format!("drop database if exists {name} with (force)"),
        format!("create database {name} template {template} strategy file_copy"),
        "checkpoint".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut admin)
            .await
            .unwrap();
    }
    postgres.url(name)
}

async fn by_statement(postgres: &PrivatePostgres, programs: &Programs, case: &Case) -> Duration {
    let database = fresh(postgres, "round", "seeded").await;
    psql(programs, &database, case.statement)
}

/// The job's time, and the most memory of its process in KiB.
async fn by_job(postgres: &PrivatePostgres, rows: u32) -> (Duration, u32) {
    let database = fresh(postgres, "round", "seeded").await;
    let begin = Instant::now();
    let child = job(&database);
    let status = format!("/proc/{}/status", child.id().unwrap());
    let watch = tokio::spawn(async move {
        let mut most = 0;
        while let Ok(status) = std::fs::read_to_string(&status) {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"));
            let size = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            most = most.max(size.unwrap_or(0));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    });
    let done = child.wait_with_output().await.unwrap();
    let time = begin.elapsed();
    let run: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(run["results"]["rows_erased"], rows, "{run}");
    (time, watch.await.unwrap())
}

/// Watched in a run of its own, since watching costs time too.
async fn longest_transaction(postgres: &PrivatePostgres, rows: u32) -> Duration {
    let database = fresh(postgres, "round", "seeded").await;
    let mut db = PgConnection::connect(&postgres.url("postgres"))
        .await
        .unwrap();
    let mut child = job(&database);
    let mut longest = 0.0_f64;
    while child.try_wait().unwrap().is_none() {
        let open: f64 = sqlx::query_scalar(
            "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8
               from pg_stat_activity where application_name = 'jarvis-cron'",
        )
        .fetch_one(&mut db)
        .await
        .unwrap();
        longest = longest.max(open);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let done = child.wait_with_output().await.unwrap();
    let run: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(run["results"]["rows_erased"], rows, "{run}");
    Duration::from_secs_f64(longest)
}

fn job(database: &str) -> tokio::process::Child {
    Command::new(env!("CARGO_BIN_EXE_jarvis-cron"))
        .args(["run", "cleanup-old-data"])
        .env_clear()
        .env("DATABASE_URL", database)
        .env("RUN_BUDGET_SECONDS", "600")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
