//! `migrate` looks before it writes: what it refuses, with what it says, and
//! that nothing is left behind.

use std::collections::BTreeSet;

use jarvis_cron::database::MIGRATOR;
use jarvis_cron::database::names::Names;
use rstest::rstest;

use crate::app::App;
use crate::cli::{self, Done};
use crate::database::schema;

/// What the host has in the schema, and nothing else.
pub(super) async fn a_host_with(sql: &str) -> App {
    let app = App::new().await;
    let schema = schema();
    let schema = schema.name();
    app.execute(&format!(
        "drop schema {schema} cascade; create schema {schema}; {sql}"
    ))
    .await;
    app
}

async fn migrate(app: &App, arguments: &[&str]) -> Done {
    let settings = cli::reaching(&app.database.direct_url);
    cli::run(&settings, &[&["migrate"], arguments].concat()).await
}

/// Every name in the database that is not Postgres' own, with its rights.
pub(super) async fn everything(app: &App) -> serde_json::Value {
    app.rows(
        "select 'schema' as kind, nspname::text as schema, '' as name, nspacl::text as rights
           from pg_namespace
          where nspname !~ '^(pg_|information_schema)'
          union all
         select 'relation', n.nspname, c.relname, c.relacl::text
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname !~ '^(pg_|information_schema)'
          union all
         select 'function', n.nspname, p.oid::regprocedure::text, p.proacl::text
           from pg_proc p join pg_namespace n on n.oid = p.pronamespace
          where n.nspname !~ '^(pg_|information_schema)'
          union all
         select 'type', n.nspname, t.typname, t.typacl::text
           from pg_type t join pg_namespace n on n.oid = t.typnamespace
          where n.nspname !~ '^(pg_|information_schema)'
          order by 1, 2, 3",
    )
    .await
}

#[rstest]
#[case::table("create table alerts (id int)", "has table alerts of others")]
#[case::several(
    "create table gyms (id int); create view orders as select 1 as id",
    "has table gyms, view orders of others"
)]
#[case::of_a_later_migration(
    "create table erasure_rules (id int)",
    "has table erasure_rules of others"
)]
#[case::index(
    "create table theirs (id int); create index alerts_by_trace on theirs (id)",
    "has index alerts_by_trace of others"
)]
#[case::sequence("create sequence kiosks", "has sequence kiosks of others")]
#[case::enumeration("create type visits as enum ('one')", "has type visits of others")]
#[case::domain("create domain members as int", "has type members of others")]
#[case::function(
    "create function uuid_or_null(word text) returns uuid language sql as 'select null::uuid'",
    "has function uuid_or_null of others"
)]
#[case::the_record_of_another_program(
    "create table _sqlx_migrations (
         version bigint primary key, description text not null,
         installed_on timestamptz not null default now(), success boolean not null,
         checksum bytea not null, execution_time bigint not null
     );
     insert into _sqlx_migrations values (1, 'theirs', now(), true, '', 1)",
    "_sqlx_migrations is the record of another program"
)]
#[case::a_record_of_another_kind(
    "create table _sqlx_migrations (id int primary key, name text)",
    "_sqlx_migrations is of others"
)]
#[case::a_record_with_other_types(
    "create table _sqlx_migrations (
         version text primary key, description text, installed_on timestamptz, success boolean,
         checksum bytea, execution_time bigint
     )",
    "_sqlx_migrations is of others"
)]
#[case::a_view_in_place_of_the_record(
    "create view _sqlx_migrations as
     select 1::bigint as version, ''::text as description, now() as installed_on, true as success,
            ''::bytea as checksum, 1::bigint as execution_time",
    "_sqlx_migrations is of others"
)]
#[case::an_index_in_place_of_the_record(
    "create table theirs (id int); create index _sqlx_migrations on theirs (id)",
    "_sqlx_migrations is of others"
)]
#[case::a_sequence_in_place_of_the_record(
    "create sequence _sqlx_migrations",
    "_sqlx_migrations is of others"
)]
#[case::a_type_in_place_of_the_record(
    "create type _sqlx_migrations as enum ('one')",
    "_sqlx_migrations is of others"
)]
#[case::columns_in_place_of_the_record(
    "create type _sqlx_migrations as (version bigint)",
    "_sqlx_migrations is of others"
)]
#[tokio::test]
async fn a_name_that_is_taken_is_refused_before_anything_is_written(
    #[case] host: &str,
    #[case] said: &str,
) {
    let app = a_host_with(host).await;
    let before = everything(&app).await;

    let done = migrate(&app, &[]).await;

    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    assert!(done.err.contains(said), "{}", done.err);
    assert!(done.err.contains("set DATABASE_SCHEMA to"), "{}", done.err);
    assert_eq!(done.err.lines().count(), 2, "{}", done.err);
    assert_eq!(everything(&app).await, before);
}

/// As Supabase's image has them, and as its projects had them until 2026.
#[tokio::test]
async fn privileges_that_would_open_the_tables_are_refused_unless_that_is_meant() {
    let app = a_host_with("").await;
    let schema = schema();
    let schema = schema.name();
    let role = format!("anon_{}", uuid::Uuid::new_v4().simple());
    app.execute(&format!(
        "create role {role};
         create table orders (id int);
         alter default privileges in schema {schema} grant all on tables to {role};
         alter default privileges grant select on tables to public"
    ))
    .await;
    let before = everything(&app).await;

    let refused = migrate(&app, &[]).await;
    let after = everything(&app).await;
    app.execute("drop table orders").await;
    let meant = migrate(&app, &["--allow-exposed"]).await;

    assert_eq!(refused.code, Some(2), "{refused:?}");
    let lines: Vec<&str> = refused.err.lines().collect();
    assert_eq!(lines.len(), 3, "all at once: {refused:?}");
    assert!(lines[1].contains("table orders of others"), "{refused:?}");
    let said = format!("would open the new tables to PUBLIC, {role}");
    assert!(lines[2].contains(&said), "{refused:?}");
    assert!(lines[2].contains("--allow-exposed"), "{refused:?}");
    assert_eq!(after, before);
    assert_eq!(meant.code, Some(0), "{meant:?}");
    app.execute(&format!(
        "alter default privileges revoke all on tables from public;
         drop owned by {role}; drop role {role}"
    ))
    .await;
}

#[tokio::test]
async fn what_everyone_could_do_with_the_tables_is_taken_away() {
    let app = App::new().await;
    app.execute(
        "grant select on members, held_members to public; grant insert on orders to public;
         grant update (title) on alerts to public",
    )
    .await;

    let done = migrate(&app, &[]).await;
    let again = migrate(&app, &[]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    let said = "revoked from PUBLIC: all rights to alerts, held_members, members, orders\n";
    assert!(done.out.ends_with(said), "{done:?}");
    assert!(!again.out.contains("revoked"), "{again:?}");
    let open = "select count(*) from pg_class, aclexplode(relacl)
                 where relnamespace = current_schema()::regnamespace and grantee = 0";
    assert_eq!(app.count(open).await, 0);
}

/// What the migrations say, read by the program, is what they do.
#[tokio::test]
async fn every_name_that_migrating_takes_is_looked_for_before() {
    let app = App::new().await;
    let names = Names::created_by(MIGRATOR.iter());
    let known: BTreeSet<&str> = [&names.relations, &names.indexes, &names.functions]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let found = app
        .rows(
            "select relname as name from pg_class where relnamespace = current_schema()::regnamespace
             union
             select proname from pg_proc where pronamespace = current_schema()::regnamespace
             union
             select typname from pg_type
              where typnamespace = current_schema()::regnamespace and typname !~ '^_'",
        )
        .await;
    let found = found.as_array().unwrap().iter();
    let found: Vec<&str> = found.map(|row| row["name"].as_str().unwrap()).collect();
    // Postgres chooses these itself, and chooses one that is free.
    let is_chosen = |name: &&str| {
        ["_pkey", "_key", "_seq"]
            .iter()
            .any(|end| name.ends_with(end))
            || name.starts_with("_sqlx_migrations")
    };
    let unknown: Vec<_> = found
        .into_iter()
        .filter(|name| !known.contains(name) && !is_chosen(name))
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
}
