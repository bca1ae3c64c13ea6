//! A dump of the whole database, and what is found in it.

use std::collections::BTreeMap;
use std::process::Command;

use jarvis_cron::config::Settings;
use jarvis_cron::demo::postgres::Programs;

use crate::app::App;
use crate::database::schema;

/// The rows of every table, as `pg_dump` has them; or alike, where the server
/// came without it.
async fn dump_of(app: &App) -> String {
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let program = programs.program("pg_dump");
    if program.exists() {
        let url = app.database.direct_url.clone();
        let dumped = tokio::task::spawn_blocking(move || {
            Command::new(program)
                .args(["--data-only", "--dbname", &url])
                .output()
                .unwrap()
        });
        let dumped = dumped.await.unwrap();
        assert!(dumped.status.success(), "{dumped:?}");
        return String::from_utf8(dumped.stdout).unwrap();
    }
    let tables = app
        .rows("select tablename from pg_tables where schemaname = current_schema() order by 1")
        .await;
    let mut text = String::new();
    for table in tables.as_array().unwrap() {
        let table = table["tablename"].as_str().unwrap();
        text = text + "COPY " + schema().name() + "." + table + " (\n";
        let rows = app.rows(&format!("select * from {table}")).await;
        for row in rows.as_array().unwrap() {
            text = text + &row.to_string() + "\n";
        }
    }
    text
}

/// In how many lines of each table one of these words stands, by a dump of the
/// whole database; says what was searched.
pub(super) async fn dump(app: &App, words: &[&str]) -> BTreeMap<String, usize> {
    let text = dump_of(app).await;
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let copy = format!("COPY {}.", schema().name());
    let (mut table, mut tables, mut hits) = ("", 0, BTreeMap::new());
    for line in text.lines() {
        if let Some(copied) = line.strip_prefix(&*copy) {
            table = copied.split(' ').next().unwrap();
            tables += 1;
        }
        let line = line.to_lowercase();
        if words.iter().any(|word| line.contains(word)) {
            *hits.entry(table.to_owned()).or_default() += 1;
        }
    }
    let lines = text.lines().count();
    println!("{lines} lines of {tables} tables searched for {words:?}: {hits:?}");
    assert!(tables > 30, "{text}");
    hits
}
