//! Another program's database, adopted: its tables stand for ours, all six jobs work on them, and it gets them back.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use rstest::rstest;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};

use crate::app::{App, Delivery, JOB};
use crate::cli::{self, Done};
use crate::database::Database;

mod contract;
mod enums;
mod files;
mod gym;
mod host;
mod hours;
mod limits;
mod members;
mod ours;
mod plans;
mod refused;
mod renames;
mod shop;

const SHOP: &str = "deploy/adopt/shop-prisma.sql";
const GYM: &str = "deploy/adopt/gym-supabase.sql";

/// A database in which a host has these tables, and a service that is not told of them yet.
async fn beside(tables: &str, changes: &[(&str, &str)]) -> App {
    let database = Database::of_a_host().await;
    let direct = database.direct_url.clone();
    let mut settings = vec![
        ("DATABASE_SCHEMA", "jarvis"),
        ("DATABASE_DIRECT_URL", &direct),
    ];
    settings.extend(changes);
    let app = App::with_database(database, &settings).await;
    app.execute(tables).await;
    app
}

/// A shop on Prisma, adopted.
async fn a_shop(changes: &[(&str, &str)]) -> App {
    let app = beside(include_str!("fixtures/adopt/shop.sql"), changes).await;
    apply(&app, &root(SHOP), "shop").await;
    app
}

/// Gyms on Supabase, adopted.
async fn a_gym() -> App {
    let app = beside(include_str!("fixtures/adopt/gym.sql"), &[]).await;
    apply(&app, &root(GYM), "gym").await;
    app
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

async fn apply(app: &App, file: &Path, ports: &str) {
    let done = adopt(app, "apply", file, ports).await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

async fn adopt(app: &App, what: &str, file: &Path, ports: &str) -> Done {
    let file = file.to_str().unwrap();
    cli::run(
        &app.settings,
        &["adopt", what, "--file", file, "--ports", ports],
    )
    .await
}

/// The cells of each row, in the order of the columns.
async fn cells(app: &App, sql: &str) -> serde_json::Value {
    let cells = format!(
        "select coalesce(json_agg((select json_agg(value) from json_each(row_to_json(found)))), '[]') from ({sql}) found"
    );
    sqlx::query_scalar(AssertSqlSafe(cells))
        .fetch_one(&app.db)
        .await
        .unwrap()
}

/// What the database has, as `pg_dump` would make it again, without rows.
async fn dump(app: &App, what: &[&str]) -> String {
    let program =
        jarvis_cron::demo::postgres::Programs::find(&jarvis_cron::config::Settings::from_env())
            .unwrap()
            .program("pg_dump");
    let dumped = tokio::process::Command::new(program)
        .arg("--schema-only")
        .args(what)
        .arg(&app.database.direct_url)
        .output()
        .await
        .unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let text = String::from_utf8(dumped.stdout).unwrap();
    // Newer ones guard the dump by a word of chance.
    let lines = text.lines().filter(|line| !line.starts_with('\\'));
    lines.collect::<Vec<_>>().join("\n")
}
