//! The role that migrates: which rights it needs, and that it may have any name.

use rstest::rstest;

use super::refusing::{a_host_with, everything};
use crate::app::App;
use crate::cli;
use crate::database::schema;

/// As a role that has no right to the schema, or none to the tables.
#[rstest]
#[case::of_the_schema(
    "drop schema {schema} cascade; create schema {schema}; revoke all on schema {schema} from public",
    "may not use the schema and create in it"
)]
#[case::of_the_database("drop schema {schema} cascade", "may not create the schema")]
#[case::of_the_tables(
    "delete from _sqlx_migrations where version = 20261129000060;
     grant usage, create on schema {schema} to {role};
     grant select, insert, update on _sqlx_migrations to {role}",
    "does not own"
)]
#[case::of_a_function(
    "delete from _sqlx_migrations where version = 20261129000060;
     do $$ begin
         execute (select string_agg(format('alter table %I owner to {role};', relname), '')
                    from pg_class
                   where relnamespace = current_schema()::regnamespace and relkind = 'r');
         execute (select string_agg(format('alter view %I owner to {role};', relname), '')
                    from pg_class
                   where relnamespace = current_schema()::regnamespace and relkind = 'v');
     end $$;
     grant usage, create on schema {schema} to {role}",
    "does not own active_days (of postgres), "
)]
#[case::of_the_record(
    "delete from _sqlx_migrations where version = 20261129000060;
     grant usage, create on schema {schema} to {role}",
    "may not read and write"
)]
#[tokio::test]
async fn a_right_that_is_missing_is_refused_before_anything_is_written(
    #[case] given: &str,
    #[case] said: &str,
) {
    let app = App::new().await;
    let schema = schema();
    let role = format!("migrator_{}", uuid::Uuid::new_v4().simple());
    let given = given
        .replace("{schema}", schema.name())
        .replace("{role}", &role);
    app.execute(&format!("create role {role} login; {given}"))
        .await;
    let before = everything(&app).await;
    let url = app
        .database
        .direct_url
        .replace("//postgres", &format!("//{role}"));

    let done = cli::run(&cli::reaching(&url), &["migrate"]).await;

    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains(said), "{done:?}");
    assert!(done.err.contains(&role), "{done:?}");
    assert_eq!(everything(&app).await, before);
    app.execute(&format!("drop owned by {role} cascade; drop role {role}"))
        .await;
}

/// As logins of Cloud SQL and of Azure are named.
#[rstest]
#[case::of_cloud_sql("sa@project.iam")]
#[case::of_azure("A.\"Q\" L@corp.com")]
#[tokio::test]
async fn a_role_may_have_any_name(#[case] name: &str) {
    let app = a_host_with("").await;
    let role = format!("{name} {}", uuid::Uuid::new_v4().simple());
    let quoted = format!("\"{}\"", role.replace('"', "\"\""));
    let schema = schema();
    let schema = schema.name();
    app.execute(&format!(
        "create role {quoted} login;
         create role {quoted_service} login;
         alter schema {schema} owner to {quoted};
         alter default privileges for role {quoted} grant select on tables to {quoted_service}",
        quoted_service = quoted.replacen('"', "\"Service.", 1)
    ))
    .await;
    let mut url = url::Url::parse(&app.database.direct_url).unwrap();
    url.set_username(&role).unwrap();
    let direct = url.to_string();
    url.set_username(&format!("Service.{role}")).unwrap();
    let mut settings = cli::reaching(url.as_str());
    settings.insert("DATABASE_DIRECT_URL".into(), direct.clone());

    let exposed = cli::run(&cli::reaching(&direct), &["migrate"]).await;
    let done = cli::run(&settings, &["migrate"]).await;

    assert_eq!(exposed.code, Some(2), "{exposed:?}");
    let said = format!("of the role {quoted} would open");
    assert!(exposed.err.contains(&said), "{exposed:?}");
    assert_eq!(done.code, Some(0), "{done:?}");
    let doctor = cli::run(&settings, &["doctor", "--json"]).await;
    assert!(!doctor.out.contains("syntax"), "{doctor:?}");
    app.execute(&format!(
        "drop owned by {quoted} cascade; drop role {quoted}, {}",
        quoted.replacen('"', "\"Service.", 1)
    ))
    .await;
}
