//! daily-churn-analysis against the bare aggregate of the same visits, side by
//! side against one private Postgres with its durability on.
//!
//! `cargo bench --bench churn [MEMBERS [VISITS]]` makes so many members
//! (100,000) with so many visits each (40), and prints the median of three
//! rounds of each, taken in turn, and the ratio of the job to each:
//!
//! - `aggregate`: what the model needs of every member's visits, their days in
//!   the gym's calendar, in one statement, given to psql.
//! - `plain aggregate`: the same without the calendar: instants are counted.
//! - `the job`: `jarvis-cron run daily-churn-analysis`, a process of its own,
//!   on tables that hold the score of the night before.
//! - `again`: the same on the same day, when every member is scored already.
//!
//! And the peak of the process's resident memory.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jarvis_cron::cli::migrate;
use jarvis_cron::config::Settings;
use jarvis_cron::database::Schema;
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let numbers: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let members = numbers.first().copied().unwrap_or(100_000);
    let visits = numbers.get(1).copied().unwrap_or(40);
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let postgres = PrivatePostgres::start(&programs, home, Auth::Password)
        .await
        .unwrap();
    let database = postgres.url("postgres");
    migrate::apply(database.parse().unwrap(), &Schema::default())
        .await
        .unwrap();
    let mut db = PgConnection::connect(&database).await.unwrap();
    seed(&mut db, members, visits).await;

    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut peak = 0;
    // The first round warms up, and makes the scores of the night before.
    for round in 0..=ROUNDS {
        yesterday(&mut db).await;
        let bare = psql(&programs, &database, AGGREGATE);
        let plain = psql(&programs, &database, PLAIN_AGGREGATE);
        let (job, memory) = run(&database, i64::from(members)).await;
        let (again, _) = run(&database, 0).await;
        peak = peak.max(memory);
        if round > 0 {
            for (times, time) in times.iter_mut().zip([bare, plain, job, again]) {
                times.push(time);
            }
        }
    }
    println!("{members} members with {visits} visits each, medians of {ROUNDS} rounds");
    for (name, of_name) in ["aggregate", "plain aggregate", "the job", "again"]
        .into_iter()
        .zip(&times)
    {
        let ratios = times[2].iter().zip(of_name);
        let ratio = median(ratios.map(|(job, other)| job.as_secs_f64() / other.as_secs_f64()));
        let time = median(of_name.iter().map(Duration::as_secs_f64));
        println!("{name:<16}{time:>9.2} s   job / this = {ratio:.2}");
    }
    println!(
        "peak resident memory of the job: {:.1} MB",
        f64::from(peak) / 1024.0
    );
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Gyms of a thousand members, each with a rhythm of their own; some stopped.
async fn seed(db: &mut PgConnection, members: u32, visits: u32) {
    let sql = format!(
        "set synchronous_commit = off;
         insert into gyms (id, name, slug, status)
         select md5('gym ' || n)::uuid, 'G', 'gym-' || n, 'active'
           from generate_series(0, {members} / 1000) n;
         insert into members (id, gym_id, joined_on)
         select md5('member ' || n)::uuid, md5('gym ' || n / 1000)::uuid, current_date - 400
           from generate_series(0, {members} - 1) n;
         insert into visits (gym_id, member_id, checked_in_at)
         select md5('gym ' || n / 1000)::uuid, md5('member ' || n)::uuid,
                now() - interval '1 day' * (n % 12) * (n % 12) / 3
                      - k * interval '150 minutes' * (10 + n % 40) - interval '1 hour'
           from generate_series(0, {visits} - 1) k, generate_series(0, {members} - 1) n"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *db)
        .await
        .unwrap();
    vacuum(db).await;
}

/// Moves what was scored to the day before.
async fn yesterday(db: &mut PgConnection) {
    sqlx::raw_sql(
        "update member_churn set scored_on = scored_on - 1;
         delete from member_churn_history where scored_on < current_date;
         update member_churn_history set scored_on = scored_on - 1;",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    vacuum(db).await;
}

async fn vacuum(db: &mut PgConnection) {
    for sql in ["vacuum analyze", "checkpoint"] {
        sqlx::raw_sql(sql).execute(&mut *db).await.unwrap();
    }
}

const AGGREGATE: &str = "
    select count(*), sum(visits + recent + before), min(first), max(last)
      from (select member_id, count(*) as visits, min(day) as first, max(day) as last,
                   count(*) filter (where day > today - 28) as recent,
                   count(*) filter (where day <= today - 28 and day > today - 84) as before
              from (select distinct member_id, (v.checked_in_at at time zone g.timezone)::date as day,
                           (now() at time zone g.timezone)::date as today
                      from visits v
                      join gyms g on g.id = v.gym_id) came
             group by member_id) rhythm";

const PLAIN_AGGREGATE: &str = "
    select count(*), sum(visits + recent + before), min(first), max(last)
      from (select member_id, count(*) as visits, min(checked_in_at) as first,
                   max(checked_in_at) as last,
                   count(*) filter (where checked_in_at > now() - interval '28 days') as recent,
                   count(*) filter (where checked_in_at between now() - interval '84 days'
                                                            and now() - interval '28 days') as before
              from visits
             group by member_id) rhythm";

/// Runs one statement in psql; the time psql itself prints, without its start.
fn psql(programs: &Programs, database: &str, sql: &str) -> Duration {
    let output = std::process::Command::new(programs.program("psql"))
        .args(["-X", "-d", database, "-c", "\\timing on", "-c", sql])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = printed.lines().rev().find(|line| line.starts_with("Time:"));
    let line = line
        .unwrap_or_else(|| unreachable!("{printed}{}", String::from_utf8_lossy(&output.stderr)));
    let milliseconds: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    Duration::from_secs_f64(milliseconds / 1e3)
}

/// Runs the job in a process of its own; its time, and its peak in KB.
async fn run(database: &str, processed: i64) -> (Duration, u32) {
    let begin = Instant::now();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_jarvis-cron"))
        .args(["run", "daily-churn-analysis"])
        .env("DATABASE_URL", database)
        .env("RUN_BUDGET_SECONDS", "3000")
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let time = begin.elapsed();
    let output = child.wait_with_output().await.unwrap();
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run["results"]["processed"], processed, "{run}");
    assert_eq!(run["status"], "succeeded", "{run}");
    (time, peak)
}
