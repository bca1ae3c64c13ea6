//! `deploy/roles.sql`: the service's role, with the least rights. With
//! `TEST_ROLE=least` every test's service has such a role.

use std::process::Command;

use jarvis_cron::config::Settings;
use jarvis_cron::database::MIGRATOR;
use jarvis_cron::database::names::Names;
use jarvis_cron::database::readiness::RIGHTS;
use jarvis_cron::demo::postgres::Programs;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::app::App;
use crate::cli;
use crate::database::{Database, schema};

const FILE: &str = include_str!("../../deploy/roles.sql");

/// The role of every test's service, where it is not the tests' own.
pub(crate) fn least() -> Option<String> {
    let is_least = std::env::var_os("TEST_ROLE").is_some_and(|role| role == "least");
    is_least.then(|| format!("jarvis_cron_test_service_{}", std::process::id()))
}

/// What psql makes of the file, with these values of its variables.
pub(crate) async fn make(db: &mut PgConnection, schema: &str, role: &str) {
    let sql = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with(['\\', '-']));
        let mut sql = lines.collect::<Vec<_>>().join("\n");
        for (name, value) in [
            ("schema", schema),
            ("role", role),
            ("password", "of-the-tests"),
        ] {
            sql = sql.replace(&format!(":\"{name}\""), &format!("\"{value}\""));
            sql = sql.replace(&format!(":'{name}'"), &format!("'{value}'"));
        }
        sql
    };
    let mut parts = FILE.split("\n\\gexec").peekable();
    while let Some(part) = parts.next() {
        // The last statement before `\gexec` makes others.
        let (plain, makes) = match parts.peek() {
            Some(_) => part.rsplit_once(";\n").unwrap_or(("", part)),
            None => (part, ""),
        };
        db.execute(AssertSqlSafe(sql(plain))).await.unwrap();
        if parts.peek().is_some() {
            let cells = format!(
                "select cell.value
                   from ({}) as made
                  cross join jsonb_each_text(to_jsonb(made)) as cell
                  where cell.value is not null
                  order by cell.value not like 'revoke%'",
                sql(makes)
            );
            let made: Vec<String> = sqlx::query_scalar(AssertSqlSafe(cells))
                .fetch_all(&mut *db)
                .await
                .unwrap();
            for statement in made {
                db.execute(AssertSqlSafe(statement)).await.unwrap();
            }
        }
    }
}

/// A service whose role is made so, and no more.
pub(crate) async fn app() -> (App, String) {
    let database = Database::new().await;
    let role = format!("{}_role", database.direct_url.rsplit('/').next().unwrap());
    let url = database
        .direct_url
        .replace("//postgres", &format!("//{role}"));
    let app = App::with_database(database, &[("DATABASE_URL", &url)]).await;
    let mut db = PgConnection::connect(&app.database.direct_url)
        .await
        .unwrap();
    make(&mut db, schema().name(), &role).await;
    db.close().await.unwrap();
    (app, role)
}

#[test]
fn the_file_grants_what_is_asked_for_and_calls_what_there_is() {
    let listed = |after: &str| {
        let (_, list) = FILE.split_once(after).unwrap();
        let lines = list
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("    "));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    };
    let mut rights = RIGHTS.map(|(table, rights)| {
        let rights = rights.replace(' ', ", ");
        format!("('{table}', '{rights}')")
    });
    rights.sort_unstable();
    let mut granted: Vec<_> = listed("from (values")
        .split("), ")
        .map(|it| format!("{}\u{29}", it.trim_end_matches(')')))
        .collect();
    granted.sort_unstable();
    assert_eq!(granted, rights);
    let functions = Names::created_by(MIGRATOR.iter()).functions;
    let functions: Vec<_> = functions.iter().map(|it| format!("'{it}'")).collect();
    assert_eq!(listed("from unnest(array["), functions.join(", "));
}

/// By psql itself, twice, with a password.
#[tokio::test]
async fn the_file_makes_a_role_that_can_serve_and_do_nothing_else() {
    let app = App::new().await;
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let psql = programs.program("psql");
    if !psql.exists() {
        println!("not run: the server came without psql");
        return;
    }
    // Of the host, and not to be reached.
    app.execute("create sequence theirs").await;
    let role = format!("Service \"{}", uuid::Uuid::new_v4().simple());
    for role in [&role, &role, "postgres"] {
        let done = Command::new(&psql)
            .args(["-X", "--quiet", "--dbname", &app.database.direct_url])
            .args(["-v", &format!("schema={}", schema().name())])
            .args(["-v", &format!("role={role}"), "-v", "password=it's-one"])
            .args([
                "-f",
                concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/roles.sql"),
            ])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    let owner_s = "select count(*) from pg_class c, aclexplode(relacl) given
                    where relnamespace = current_schema()::regnamespace
                      and relkind = 'r'
                      and given.grantee = c.relowner
                      and given.privilege_type = 'TRUNCATE'";
    assert!(app.count(owner_s).await > 20, "it was locked out");
    let able = app
        .rows(&format!(
            "select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolcanlogin, rolpassword is not null as has_password,
                    has_schema_privilege(oid, current_schema(), 'create') as creates,
                    (select count(*) from pg_class where relowner = pg_authid.oid) as owns,
                    (select bool_and(case when relkind = 'S'
                                          then has_sequence_privilege(pg_authid.oid, pg_class.oid, 'select') end)
                       from pg_class
                      where relnamespace = current_schema()::regnamespace
                        and relname <> 'theirs') as reads_ours,
                    has_sequence_privilege(oid, 'theirs', 'select, usage, update') as reads_theirs,
                    (select count(*) from pg_class
                      where relnamespace = current_schema()::regnamespace
                        and relkind in ('r', 'v')
                        and has_table_privilege(pg_authid.oid, pg_class.oid, 'truncate, references, trigger')) as more
               from pg_authid
              where rolname = '{role}'"
        ))
        .await;
    assert_eq!(
        able,
        json!([{
            "rolsuper": false, "rolcreaterole": false, "rolcreatedb": false, "rolbypassrls": false,
            "rolcanlogin": true, "has_password": true, "creates": false, "owns": 0, "more": 0,
            "reads_ours": true, "reads_theirs": false,
        }])
    );
    let quoted = role.replace('"', "\"\"");
    app.execute(&format!(
        "drop owned by \"{quoted}\"; drop role \"{quoted}\""
    ))
    .await;
}

/// What operators do at the command line, as the service's role.
#[tokio::test]
async fn commands_need_no_more_than_the_service_s_rights() {
    let (app, role) = app().await;
    for command in [
        &["policies", "list"][..],
        &[
            "policies",
            "set",
            "visits",
            "--keep-days",
            "400",
            "--reason",
            "r",
            "--actor",
            "a",
        ],
        &["run", "cleanup-old-data", "--reason", "r", "--actor", "a"],
        &[
            "run",
            "weekly-reports",
            "--dry-run",
            "--reason",
            "r",
            "--actor",
            "a",
        ],
        &["churn", "fit", "--dry-run"],
    ] {
        let done = cli::run(&app.settings, command).await;
        assert!(
            !done.err.contains("permission denied"),
            "{command:?} {done:?}"
        );
        assert!(
            !done.out.contains("permission denied"),
            "{command:?} {done:?}"
        );
    }
    // To say so before there is something to do.
    let done = cli::run(&app.settings, &["migrate"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    let said = "may not use the schema and create in it";
    assert!(done.err.contains(said), "{done:?}");
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test]
async fn doctor_finds_the_database_well_with_it() {
    let (app, role) = app().await;
    let doctor = cli::run(&app.settings, &["doctor", "--json"]).await.json();
    let of_database = [
        "database",
        "rights",
        "migrations",
        "exposure",
        "identities",
        "clock",
        "retention",
    ];
    for finding in doctor["findings"].as_array().unwrap() {
        let check = finding["check"].as_str().unwrap();
        // Every test's service has a role then, beside this one's.
        let is_known = check == "exposure" && least().is_some();
        let is_well = finding["level"] == "ok" || is_known;
        assert!(is_well || !of_database.contains(&check), "{finding}");
    }
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}
