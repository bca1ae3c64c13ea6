//! What the benchmarks share: a Postgres with its durability on, psql, and the
//! median.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jarvis_cron::config::Settings;
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};

/// A private Postgres as it comes, and its programs.
pub(crate) async fn durable_postgres() -> (Programs, PrivatePostgres) {
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let postgres = PrivatePostgres::start(&programs, home, Auth::Password)
        .await
        .unwrap();
    (programs, postgres)
}

/// Runs one statement in psql; the time psql itself prints, without its start.
pub(crate) fn psql(programs: &Programs, database: &str, sql: &str) -> Duration {
    let output = Command::new(programs.program("psql"))
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

/// The middle one.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
