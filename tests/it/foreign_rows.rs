//! Rows of others: whatever moment or number stands in a row, no job, page or
//! check panics or fails at it.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use jarvis_cron::demo::stripe_double::Intent;
use jarvis_cron::jobs;
use rstest::rstest;

use crate::app::{App, OPERATOR_SECRET, now};

/// What is set, by the type of the column.
const VALUES: [(&str, &[&str]); 8] = [
    (
        "timestamp with time zone",
        &[
            "infinity",
            "-infinity",
            "294276-12-31 23:59:59Z",
            "4713-01-01 00:00:00Z BC",
        ],
    ),
    (
        "date",
        &["infinity", "-infinity", "5874897-12-31", "4713-01-01 BC"],
    ),
    (
        "double precision",
        &["NaN", "Infinity", "-Infinity", "1e308"],
    ),
    ("real", &["NaN", "Infinity", "-Infinity", "3e38"]),
    ("bigint", &["9223372036854775807", "-9223372036854775808"]),
    ("integer", &["2147483647", "-2147483648"]),
    (
        "jsonb",
        &[
            "1e999",
            "null",
            "[]",
            r#"{"a": "\\u0000", "reason": 1e400, "mon": [[1]]}"#,
        ],
    ),
    ("text[]", &["{}", "{NULL,\"\"}"]),
];

/// Types whose values are no number and no moment.
const OTHERS: [&str; 4] = ["boolean", "uuid", "bytea", "text"];

/// Columns that only this service writes, and always itself.
const OURS: [&str; 4] = [
    "_sqlx_migrations",
    "job_leases",
    "job_runs",
    "weekly_reports",
];

/// One value of one column.
#[derive(Debug)]
struct Spoilt {
    column: String,
    value: &'static str,
}

/// The values of all columns, by table.
async fn all(app: &App) -> BTreeMap<String, Vec<Spoilt>> {
    let mut tables: BTreeMap<String, Vec<Spoilt>> = BTreeMap::new();
    for (kind, values) in VALUES {
        let columns = columns(app, kind).await;
        assert!(!columns.is_empty(), "{kind}");
        for (table, column) in columns {
            let spoilt = values.iter().map(|value| Spoilt {
                column: column.clone(),
                value,
            });
            tables.entry(table).or_default().extend(spoilt);
        }
    }
    tables
}

/// The columns of that type, with their tables.
async fn columns(app: &App, kind: &str) -> Vec<(String, String)> {
    let columns = app
        .rows(&format!(
            "select c.relname, a.attname
               from pg_attribute a
               join pg_class c on c.oid = a.attrelid
              where c.relnamespace = current_schema()::regnamespace
                and c.relkind = 'r'
                and a.attnum > 0
                and not a.attisdropped
                and a.attidentity = ''
                and format_type(a.atttypid, null) = '{kind}'
              order by 1, a.attnum"
        ))
        .await;
    let columns = columns.as_array().unwrap().iter().map(|column| {
        let [table, column] = ["relname", "attname"].map(|it| column[it].as_str().unwrap());
        (table.to_owned(), column.to_owned())
    });
    let is_theirs = |table: &str| kind == VALUES[0].0 || !OURS.contains(&table);
    columns.filter(|(table, _)| is_theirs(table)).collect()
}

/// Rows in every table, and reports of two weeks ago.
async fn filled() -> App {
    let app = App::new().await;
    app.execute(include_str!("fixtures/every_table.sql")).await;
    for n in 1..=40 {
        app.stripe
            .add(Intent::new(format!("pi_O-{n}"), "requires_action"));
    }
    let then = (now() - TimeDelta::days(14)).format("%Y-%m-%dT%H:%M:%SZ");
    let reply = app
        .operate("weekly-reports", &format!("as_of={then}"))
        .await;
    assert_eq!(reply.results()["generated"], 30, "{reply:?}");
    app.execute(
        "insert into report_deliveries (report_id, recipient, attempted_at, unsure_since)
         select id, 'ada@gym.test', now() - interval '2 hours', now() - interval '2 hours'
           from weekly_reports",
    )
    .await;
    app
}

/// As old rows may be, from before there was a check: one value in each row.
/// Answers which values there were no rows for.
async fn spoil<'a>(app: &App, table: &str, values: &'a [Spoilt]) -> &'a [Spoilt] {
    app.execute(&format!(
        "do $$
         declare
             checked record;
         begin
             for checked in
                 select conname from pg_constraint
                  where conrelid = '{table}'::regclass and contype = 'c'
             loop
                 execute format('alter table {table} drop constraint %I', checked.conname);
             end loop;
         end $$;
         create table spoiled_rows as
         select ctid as place, row_number() over (order by ctid) as n from {table}"
    ))
    .await;
    let rows = app.count(&format!("select count(*) from {table}")).await;
    assert!(rows > 0, "{table} is empty");
    let (now, later) = values.split_at(values.len().min(usize::try_from(rows).unwrap()));
    for (n, Spoilt { column, value }) in now.iter().enumerate() {
        let set = format!(
            "update {table} set \"{column}\" = '{value}'
              where ctid = (select place from spoiled_rows where n = {n} + 1)"
        );
        // A row that is unique by this column is there once.
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(set))
            .execute(&app.db)
            .await;
        if let Err(error) = done {
            let is_unique = error
                .as_database_error()
                .is_some_and(sqlx::error::DatabaseError::is_unique_violation);
            assert!(is_unique, "{table}.{column} {error}");
        }
    }
    later
}

/// Calls everything, and answers what failed.
async fn calls(app: &App) -> Vec<String> {
    let mut failed = Vec::new();
    for job in jobs::ALL.iter() {
        let reply = app.deliver(job.name).await;
        let (status, word) = reply.outcome();
        let is_good = status == 200 && ["succeeded", "partial"].contains(&word);
        // By a pause without an end.
        let is_good = is_good || reply.body["code"] == "paused";
        if !is_good {
            failed.push(format!("{}: {}", job.name, reply.text));
        }
    }
    let run = app
        .rows("select id from job_runs order by random() limit 3")
        .await;
    let runs = run.as_array().unwrap().iter().flat_map(|run| {
        let id = run["id"].as_str().unwrap();
        [format!("/runs/{id}"), format!("/api/runs/{id}")]
    });
    let of_jobs = jobs::ALL.iter().flat_map(|job| {
        [
            format!("/jobs/{}", job.name),
            format!("/api/jobs/{}/runs", job.name),
        ]
    });
    let reports = app
        .rows("select slug, iso_year, iso_week from weekly_reports w join gyms g on g.id = w.gym_id where slug like 'gym-%' order by w.ctid limit 16")
        .await;
    let reports = reports.as_array().unwrap().iter().flat_map(|report| {
        let slug = report["slug"].as_str().unwrap();
        let (year, week) = (&report["iso_year"], report["iso_week"].as_u64().unwrap());
        ["", ".json", ".csv"].map(|kind| format!("/reports/{slug}/{year}-W{week:02}{kind}"))
    });
    let others = [
        "/",
        "/metrics",
        "/api/jobs",
        "/api/jobs/metrics",
        "/health/live",
        "/health/ready",
        "/health/schedules",
    ];
    let paths = others.map(str::to_owned).into_iter().chain(reports);
    for path in paths.chain(runs).chain(of_jobs) {
        let bearer = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
        let reply = app.call(Method::GET, &path, &bearer, "").await;
        // Whether the scheduler calls is not the matter here, and a report whose
        // figures are none cannot be shown.
        let may_be = match path.as_str() {
            "/health/schedules" => reply.status == StatusCode::SERVICE_UNAVAILABLE,
            _ => false,
        };
        if reply.status != StatusCode::OK && !may_be {
            failed.push(format!("{path}: {} {}", reply.status, reply.text));
        }
    }
    failed
}

#[rstest]
#[tokio::test]
async fn no_value_of_a_row_stops_a_job_or_a_page(#[values(0, 1, 2, 3, 4, 5)] part: usize) {
    let tables = all(&App::new().await).await;
    let tables = tables.iter().enumerate().filter(|(n, _)| n % 6 == part);
    let mut failed = BTreeSet::new();
    for (_, (table, values)) in tables {
        let mut left = values.as_slice();
        while !left.is_empty() {
            let app = filled().await;
            let later = spoil(&app, table, left).await;
            let now = &left[..left.len() - later.len()];
            let all = calls(&app).await;
            failed.extend(all.iter().map(|it| format!("{table} {now:?}: {it}")));
            left = later;
        }
    }

    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn every_row_as_it_should_be_stops_nothing_either() {
    let app = filled().await;

    let failed = calls(&app).await;

    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn there_is_a_value_for_every_type_of_a_column() {
    let app = App::new().await;
    let found = app
        .rows(
            "select distinct format_type(a.atttypid, null) as type
               from pg_attribute a
               join pg_class c on c.oid = a.attrelid
              where c.relnamespace = current_schema()::regnamespace
                and c.relkind in ('r', 'p')
                and a.attnum > 0
                and not a.attisdropped",
        )
        .await;
    for found in found.as_array().unwrap() {
        let kind = found["type"].as_str().unwrap();
        let is_tried = VALUES.iter().any(|(tried, _)| *tried == kind);
        assert!(is_tried || OTHERS.contains(&kind), "{kind}");
    }
}
