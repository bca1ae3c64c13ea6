//! The rights of the service's role: what readiness asks for is what it needs.

use std::collections::BTreeSet;
use std::path::Path;

use jarvis_cron::database::MIGRATOR;
use jarvis_cron::database::readiness::RIGHTS;
use rstest::rstest;
use serde_json::Value;

use super::ready;
use crate::cli;
use crate::database::schema;
use crate::roles;

#[tokio::test]
async fn with_the_rights_that_are_asked_for_every_job_runs() {
    let (app, role) = roles::app().await;
    app.stale_orders(3, 3).await;
    assert_eq!(ready(&app).await.status, 200);
    for job in app.runner.jobs.0 {
        let reply = app.deliver(job.name).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    }
    // What is written under a savepoint fails without failing the run.
    let counted = app.count("select count(*) from job_run_totals").await;
    assert_eq!(counted, 6);
    assert_eq!(app.count("select count(*) from system_logs").await, 6);
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[rstest]
#[case::one("insert on job_runs", "lacks insert on job_runs")]
#[case::two_of_a_table("insert, delete on alerts", "lacks insert, delete on alerts")]
#[case::a_function("execute on function words_in", "lacks execute on function words_in")]
#[case::the_record("select on _sqlx_migrations", "lacks select on _sqlx_migrations")]
#[tokio::test]
async fn a_right_that_is_missing_is_named(#[case] right: &str, #[case] said: &str) {
    let (app, role) = roles::app().await;
    app.execute(&format!("revoke {right} from {role}, public"))
        .await;

    let reply = ready(&app).await;

    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.body["database"], "reached", "{reply:?}");
    assert_eq!(reply.body["rights"], said, "{reply:?}");
    let doctor = cli::run(&app.settings, &["doctor", "--json"]).await;
    assert!(doctor.out.contains(said), "{doctor:?}");
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test]
async fn a_schema_that_the_role_may_not_use_is_named() {
    let (app, role) = roles::app().await;
    let schema = schema();
    let schema = schema.name();
    app.execute(&format!(
        "revoke usage on schema {schema} from public, {role}"
    ))
    .await;

    let reply = ready(&app).await;

    assert_eq!(reply.status, 503, "{reply:?}");
    let said = format!("lacks usage on schema {schema}");
    assert_eq!(reply.body["rights"], said, "{reply:?}");
    let doctor = cli::run(&app.settings, &["doctor", "--json"]).await;
    assert!(doctor.out.contains(&said), "{doctor:?}");
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

/// Row level security would hide rows without a word: a job would do nothing
/// for ever, and say that it succeeded.
#[rstest]
#[case::no_policy("", Some("select, update on every row of orders"))]
#[case::of_some_rows(
    "create policy paid on orders using (status = 'PAID')",
    Some("select, update on every row of orders")
)]
#[case::for_another_role(
    "create policy theirs on orders to pg_monitor using (true)",
    Some("select, update on every row of orders")
)]
#[case::only_for_reading(
    "create policy reading on orders for select using (true)",
    Some("update on every row of orders")
)]
#[case::but_not_all(
    "create policy whole on orders using (true);
     create policy less on orders as restrictive for select using (status <> 'PAID')",
    Some("select on every row of orders")
)]
#[case::of_each_row("create policy whole on orders using (true)", None)]
#[tokio::test]
async fn rows_that_the_role_cannot_see_are_told(#[case] policy: &str, #[case] said: Option<&str>) {
    let (app, role) = roles::app().await;
    app.execute("alter table orders enable row level security")
        .await;
    app.execute(policy).await;

    let reply = ready(&app).await;
    let doctor = cli::run(&app.settings, &["doctor", "--json"]).await;

    match said {
        Some(said) => {
            let said = format!("lacks {said}");
            assert_eq!(reply.status, 503, "{reply:?}");
            assert_eq!(reply.body["rights"], said, "{reply:?}");
            assert!(doctor.out.contains(&said), "{doctor:?}");
            assert!(doctor.out.contains("BYPASSRLS"), "{doctor:?}");
        }
        None => assert_eq!(reply.status, 200, "{reply:?}"),
    }
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test]
async fn a_rule_for_rows_that_the_role_cannot_see_is_refused() {
    let (app, role) = roles::app().await;
    app.execute(&format!(
        "create table health (member_id uuid references members, fact text);
         grant select, update, delete on health to {role};
         alter table health enable row level security;
         create policy blank on health using (fact is null)"
    ))
    .await;
    let file = std::env::temp_dir().join(format!("{role}.json"));
    let content = r#"{"erase": [{"table": "health", "column": "fact", "action": "set_null"}]}"#;
    std::fs::write(&file, content).unwrap();

    let apply = ["policies", "apply", "--file", file.to_str().unwrap()];
    let done = cli::run(&app.settings, &apply).await;

    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("every row of its table"), "{done:?}");
    std::fs::remove_file(file).unwrap();
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

/// The tables and views that the migrations create.
fn relations() -> BTreeSet<String> {
    let mut relations = BTreeSet::new();
    for migration in MIGRATOR.iter() {
        let words: Vec<&str> = migration.sql.as_str().split_whitespace().collect();
        for found in words.windows(3) {
            if let ["create", "table" | "view", name] = *found {
                let name = name.split('(').next().unwrap();
                relations.insert(name.to_owned());
            }
        }
    }
    relations
}

/// The tables whose rows a statement locks, by whatever name they have in it:
/// Postgres wants the right to update them, also where it only deletes.
fn locked_by(query: &str) -> BTreeSet<String> {
    let spaced = query.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().chain(["", ""]).collect();
    let mut locked = BTreeSet::new();
    for (at, found) in words.windows(4).enumerate() {
        let of = match *found {
            ["for", "update" | "share", "of", alias] => Some(alias),
            ["for", "update" | "share", ..] | ["for", "no" | "key", "key" | "share", _] => None,
            _ => continue,
        };
        let mut depth = 0;
        // Back to the select that it ends.
        for before in (0..at).rev() {
            match words[before] {
                ")" => depth += 1,
                "(" => depth -= 1,
                "select" if depth == 0 => break,
                "from" | "join" if depth == 0 => {
                    let [table, mut alias] = [words[before + 1], words[before + 2]];
                    if alias == "as" {
                        alias = words[before + 3];
                    }
                    if of.is_none_or(|of| of == alias || of == table) {
                        locked.insert(table.to_owned());
                    }
                }
                _ => {}
            }
            if depth < 0 {
                break;
            }
        }
    }
    locked
}

/// A statement that is new, or does something new, is asked for as well.
#[test]
fn what_every_statement_does_is_among_the_rights() {
    let relations = relations();
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let mut lacking = BTreeSet::new();
    for file in std::fs::read_dir(record).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let query: Value = serde_json::from_str(&text).unwrap();
        let query = query["query"].as_str().unwrap().to_lowercase();
        let words: Vec<&str> = query.split_whitespace().collect();
        let upserts = query.contains("do update");
        for table in locked_by(&query) {
            let is_ours =
                |(ours, rights): &(&str, &str)| *ours == table && rights.contains("update");
            if relations.contains(&table) && !RIGHTS.iter().any(is_ours) {
                lacking.insert(format!("update on {table}, which it locks"));
            }
        }
        for found in words.windows(3) {
            let (rights, table): (&[&str], _) = match *found {
                ["insert", "into", table] if upserts => (&["insert", "update", "select"], table),
                ["insert", "into", table] => (&["insert"], table),
                ["delete", "from", table] => (&["delete"], table),
                ["update", table, "set" | "as"] => (&["update"], table),
                ["from" | "join", table, _] if relations.contains(table) => (&["select"], table),
                _ => continue,
            };
            let ours = RIGHTS.iter().find(|(ours, _)| *ours == table);
            let ours = ours.map_or("", |(_, rights)| rights);
            let missing = rights.iter().filter(|right| !ours.contains(*right));
            lacking.extend(missing.map(|right| format!("{right} on {table}")));
        }
    }
    assert!(lacking.is_empty(), "{lacking:?}");
}
