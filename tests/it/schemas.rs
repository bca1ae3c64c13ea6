//! The schema of the service, which with `TEST_DATABASE_SCHEMA` is another than
//! `public` in every test; and what the host's application does beside it.

use std::path::Path;
use std::process::Command;

use jarvis_cron::config::Settings;
use jarvis_cron::database::Schema;
use jarvis_cron::demo::postgres::Programs;
use rstest::rstest;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::app::{App, JOB};
use crate::cli;
use crate::database::Database;
use crate::roles;

/// Where the tables of the service are: `TEST_DATABASE_SCHEMA`.
pub(crate) fn schema() -> Schema {
    let name = std::env::var_os("TEST_DATABASE_SCHEMA").map(|it| it.into_string().unwrap());
    name.map_or_else(Schema::default, |name| Schema::named(&name).unwrap())
}

/// The same for a statement of the test's own, and for what the service says.
pub(crate) fn of_schema(text: &str) -> String {
    text.replace("public", schema().name())
}

/// Another service in the same database, in a schema of its own.
async fn beside(app: &App, schema: &str) -> App {
    // A path that does not lead to the first one.
    let url = format!(
        "{}?options=-csearch_path%3D{schema}",
        app.database.direct_url
    );
    let mut settings = cli::reaching(&url);
    settings.insert("DATABASE_SCHEMA".into(), schema.into());
    let done = cli::run(&settings, &["migrate"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    if let Some(role) = roles::least() {
        let mut db = PgConnection::connect(&app.database.direct_url)
            .await
            .unwrap();
        roles::make(&mut db, schema, &role).await;
    }
    let Database {
        direct_url, url, ..
    } = &app.database;
    let database = Database::elsewhere(direct_url.clone(), url.clone());
    App::with_database(database, &[("DATABASE_SCHEMA", schema)]).await
}

#[rstest]
#[case::one_word("jarvis", true)]
#[case::a_word_of_sql("select", true)]
#[case::underscores("_our_own_1", true)]
#[case::longest(
    "s23456789012345678901234567890123456789012345678901234567890123",
    true
)]
#[case::too_long(
    "s234567890123456789012345678901234567890123456789012345678901234",
    false
)]
#[case::nothing("", false)]
#[case::capitals("Jarvis", false)]
#[case::begins_with_a_digit("1st", false)]
#[case::hyphen("our-own", false)]
#[case::dot("a.b", false)]
#[case::two("a, b", false)]
#[case::quotes("a\"b", false)]
#[case::letters_of_others("clé", false)]
#[case::the_caller_s("$user", false)]
#[case::of_postgres("pg_own", false)]
#[case::of_the_standard("information_schema", false)]
#[test]
fn a_schema_has_a_name_that_needs_no_quotes(#[case] name: &str, #[case] is_taken: bool) {
    assert_eq!(Schema::named(name).is_some(), is_taken);
}

/// The application deletes a member by its own path, which does not lead to us.
#[tokio::test]
async fn what_the_host_writes_by_a_path_of_its_own_does_what_it_should() {
    let app = App::new().await;
    app.execute(include_str!("fixtures/every_table.sql")).await;
    let schema = schema();
    let schema = schema.name();
    let mut host = PgConnection::connect(&app.database.direct_url)
        .await
        .unwrap();
    host.execute("set search_path = pg_catalog").await.unwrap();
    for statement in [
        "update {schema}.payment_intents set stripe_payment_intent_id = 'pi_new_' || id",
        "update {schema}.conversation_events set transcript = 'hello'",
        "update {schema}.audit_events set payload = '{}'",
        "delete from {schema}.visits",
        "delete from {schema}.member_churn",
        "delete from {schema}.lockers",
        "update {schema}.conversation_sessions set member_id = null",
        "delete from {schema}.members",
    ] {
        let statement = AssertSqlSafe(statement.replace("{schema}", schema));
        host.execute(statement).await.unwrap();
    }
    let left = "select count(*) from member_churn_history";
    assert_eq!(app.count(left).await, 0);
    let synced = "select count(*) from payment_intents where last_synced_at is not null";
    assert_eq!(app.count(synced).await, 0);
}

/// Each session that writes a row or restores a dump calls them.
#[tokio::test]
async fn what_triggers_indexes_and_checks_call_keeps_the_path_of_its_schema_or_names_nothing_of_ours()
 {
    let app = App::new().await;
    let called = "
        with recursive called (id) as (
            select refobjid
              from pg_depend
             where refclassid = 'pg_proc'::regclass
               and classid <> all (array['pg_proc', 'pg_rewrite']::regclass[])
            union
            select d.refobjid
              from called
              join pg_depend d
                on d.classid = 'pg_proc'::regclass
               and d.objid = called.id
               and d.refclassid = 'pg_proc'::regclass
        )
        select p.proname as name, l.lanname, p.prosqlbody is null as is_text, p.prosrc,
               coalesce(array_to_string(proconfig, ' '), '')
                   ~ ('^search_path=\"?' || current_schema() || '\"?,') as keeps
          from called
          join pg_proc p on p.oid = called.id
          join pg_language l on l.oid = p.prolang
         where pronamespace = current_schema()::regnamespace";
    let lost = app
        .rows(&format!(
            "select name
               from ({called}) f
              where not keeps
                and (
                    lanname <> 'sql'
                    or is_text and exists (
                        select from pg_class c
                         where c.relnamespace = current_schema()::regnamespace
                           and f.prosrc ~ ('\\m' || c.relname || '\\M')
                        union all
                        select from pg_proc o
                         where o.pronamespace = current_schema()::regnamespace
                           and f.prosrc ~ ('\\m' || o.proname || '\\M')
                    )
                )"
        ))
        .await;
    assert_eq!(lost, json!([]));
    let all = app
        .rows(&format!("select name from ({called}) f order by 1"))
        .await;
    for name in [
        "forget_last_sync",
        "forget_scores_of_the_deleted",
        "uuids_in",
        "words_in",
    ] {
        assert!(all.to_string().contains(name), "{name} is not in {all}");
    }
}

/// Of the role or the database: every name of ours means something else there.
#[tokio::test]
async fn a_path_that_leads_elsewhere_is_not_followed() {
    let app = App::new().await;
    app.stale_orders(3, 3).await;
    app.execute(&format!(
        "create schema hostile;
         create table hostile.orders (like orders);
         create table hostile.job_runs (id int);
         create function hostile.within_calendar(at timestamptz) returns timestamptz
         language sql as 'select null::timestamptz';
         do $$ begin
             execute format('alter database %I set search_path = hostile, {}', current_database());
         end $$",
        schema().name()
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 3, "{reply:?}");
    assert_eq!(app.count("select count(*) from hostile.job_runs").await, 0);
}

#[tokio::test]
async fn two_services_in_one_database_do_not_meet() {
    let app = App::new().await;
    app.stale_orders(3, 3).await;
    let other = beside(&app, "second").await;

    let reply = other.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 0, "{reply:?}");
    assert_eq!(app.count("select count(*) from job_runs").await, 0);
    assert_eq!(app.count("select count(*) from second.job_runs").await, 1);
    for job in app.runner.jobs.0 {
        assert_eq!(app.deliver(job.name).await.outcome(), (200, "succeeded"));
        assert_eq!(other.deliver(job.name).await.outcome(), (200, "succeeded"));
    }
    assert_eq!(app.count("select count(*) from second.job_runs").await, 7);
}

/// As the documents say.
#[tokio::test]
async fn a_schema_can_be_renamed() {
    let app = App::new().await;
    app.execute(include_str!("fixtures/every_table.sql")).await;
    app.execute(&of_schema(
        "delete from payment_intents; -- Stripe knows none of them
         alter schema public rename to moved;
         create schema public;
         alter function moved.forget_scores_of_the_deleted() set search_path = moved, pg_temp;
         alter function moved.forget_last_sync() set search_path = moved, pg_temp;
         update moved.erasure_rules set schema_name = 'moved' where schema_name = 'public'",
    ))
    .await;
    let Database {
        direct_url, url, ..
    } = &app.database;
    let database = Database::elsewhere(direct_url.clone(), url.clone());
    let app = App::with_database(database, &[("DATABASE_SCHEMA", "moved")]).await;
    for job in app.runner.jobs.0 {
        let reply = app.deliver(job.name).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    app.execute("delete from moved.lockers; delete from moved.members where id not in (select member_id from moved.visits)")
        .await;
}

/// A restore looks up nothing by a path: a dump empties it.
#[tokio::test]
async fn a_dump_can_be_restored() {
    let app = App::new().await;
    app.execute(include_str!("fixtures/every_table.sql")).await;
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let (dump, psql) = (programs.program("pg_dump"), programs.program("psql"));
    if !dump.exists() || !psql.exists() {
        println!("not run: the server came without pg_dump");
        return;
    }
    let copy = Database::new().await;
    let mut db = PgConnection::connect(&copy.direct_url).await.unwrap();
    let drop = format!("drop schema {} cascade", schema().name());
    db.execute(AssertSqlSafe(drop)).await.unwrap();
    if schema() == Schema::default() {
        // A dump makes every schema but this one.
        db.execute("create schema public").await.unwrap();
    }
    let restored = Command::new("sh")
        .arg("-c")
        .arg("\"$0\" --dbname \"$1\" | \"$2\" -X -q -v ON_ERROR_STOP=1 --dbname \"$3\"")
        .args([
            &dump,
            Path::new(&app.database.direct_url),
            &psql,
            Path::new(&copy.direct_url),
        ])
        .output()
        .unwrap();
    assert!(restored.status.success(), "{restored:?}");
    assert!(restored.stderr.is_empty(), "{restored:?}");
    let copied = App::with_database(copy, &[]).await;
    assert_eq!(copied.checksums().await, app.checksums().await);
}
