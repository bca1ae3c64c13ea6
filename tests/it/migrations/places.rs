//! Where `migrate` puts the tables: the database, and the schema.

use super::refusing::{a_host_with, everything};
use crate::app::App;
use crate::cli;
use crate::database::schema;

/// Half of the migrations passed there, and then a letter did not.
#[tokio::test]
async fn an_encoding_that_lacks_letters_is_refused_before_anything_is_written() {
    let app = App::new().await;
    let name = format!("latin_{}", uuid::Uuid::new_v4().simple());
    app.execute(&format!(
        "create database {name} encoding 'LATIN1' locale 'C' template template0"
    ))
    .await;
    let mut url = url::Url::parse(&app.database.direct_url).unwrap();
    url.set_path(&name);

    let done = cli::run(&cli::reaching(url.as_str()), &["migrate"]).await;

    assert_eq!(done.code, Some(2), "{done:?}");
    let said = "the encoding of the database is LATIN1";
    assert!(done.err.contains(said), "{done:?}");
    app.execute(&format!("drop database {name} with (force)"))
        .await;
}

#[tokio::test]
async fn tables_that_are_in_another_schema_are_told_and_not_made_again() {
    let app = App::new().await;
    let schema = schema();
    let schema = schema.name();
    app.execute(&format!(
        "do $$ begin
             execute format('alter database %I set search_path = \"$user\", {schema}', current_database());
         end $$"
    ))
    .await;
    let mut settings = cli::reaching(&app.database.direct_url);
    settings.insert("DATABASE_SCHEMA".into(), "elsewhere".into());
    let before = everything(&app).await;

    let done = cli::run(&settings, &["migrate"]).await;

    assert_eq!(done.code, Some(2), "{done:?}");
    let said = format!("are in the schema {schema}: set DATABASE_SCHEMA={schema}");
    assert!(done.err.contains(&said), "{done:?}");
    assert_eq!(everything(&app).await, before);
}

/// Otherwise a second set of tables comes, where the public key may see them.
#[tokio::test]
async fn a_schema_that_was_forgotten_is_told() {
    let app = App::new().await;
    let schema = schema();
    app.execute(&format!(
        "alter schema {} rename to moved; create schema if not exists public",
        schema.name()
    ))
    .await;
    let settings =
        cli::Settings::from([("DATABASE_URL".to_owned(), app.database.direct_url.clone())]);

    let done = cli::run(&settings, &["migrate"]).await;

    assert_eq!(done.code, Some(2), "{done:?}");
    let said = "are in the schema moved: set DATABASE_SCHEMA=moved";
    assert!(done.err.contains(said), "{done:?}");
}

#[tokio::test]
async fn beside_a_host_with_the_same_names_it_migrates_into_a_schema_of_its_own() {
    let app = a_host_with("create table orders (id int); create table gyms (id int)").await;
    let mut settings = cli::reaching(&app.database.direct_url);
    settings.insert("DATABASE_SCHEMA".into(), "of_its_own".into());
    let theirs = app
        .count("select count(*) from pg_class where relnamespace = current_schema()::regnamespace");
    let theirs = theirs.await;

    let done = cli::run(&settings, &["migrate"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    let left = "select count(*) from pg_class where relnamespace = current_schema()::regnamespace";
    assert_eq!(app.count(left).await, theirs);
    assert_eq!(
        app.count("select count(*) from of_its_own.job_runs").await,
        0
    );
}
