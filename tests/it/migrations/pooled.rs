//! `migrate` through PgBouncer: in transaction mode it is refused before anything
//! is set, in session mode it is as good as without.

use std::path::Path;

use rstest::rstest;
use sqlx::{Connection, PgConnection, Row};

use super::refusing::{a_host_with, everything};
use crate::app::App;
use crate::cli;
use crate::database::pooler::Pooler;
use crate::database::schema;

/// The address of this database through a pooler of the test's own, where there
/// is such a program.
fn through(app: &App, mode: &str) -> Option<(Pooler, String)> {
    let program = std::env::var_os("TEST_PGBOUNCER")?;
    let mut url = url::Url::parse(&app.database.direct_url).unwrap();
    let pooler = Pooler::start(Path::new(&program), url.port().unwrap(), mode);
    url.set_port(Some(pooler.port)).unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    Some((pooler, url.to_string()))
}

/// What every server connection of the pool has left in it.
async fn settings_of(url: &str) -> Vec<String> {
    let mut held = Vec::new();
    let mut found = Vec::new();
    for _ in 0..4 {
        let mut db = PgConnection::connect(url).await.unwrap();
        let ask = "begin; select concat_ws(' ', current_setting('search_path'),
                                           current_setting('statement_timeout'),
                                           current_setting('lock_timeout'))";
        let rows = sqlx::raw_sql(ask).fetch_all(&mut db).await.unwrap();
        found.push(rows.last().unwrap().get(0));
        held.push(db);
    }
    found
}

#[tokio::test]
async fn in_transaction_mode_it_is_refused_and_leaves_nothing_behind() {
    let app = a_host_with("").await;
    let Some((_pooler, url)) = through(&app, "transaction") else {
        println!("not run: PgBouncer comes with --pgbouncer");
        return;
    };
    let before = (everything(&app).await, settings_of(&url).await);

    let done = cli::run(&cli::reaching(&url), &["migrate"]).await;

    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    assert_eq!(done.err.lines().count(), 1, "{done:?}");
    assert!(done.err.contains("set DATABASE_DIRECT_URL to"), "{done:?}");
    let after = (everything(&app).await, settings_of(&url).await);
    assert_eq!(after, before);
    let locks = "select count(*) from pg_locks
                  where locktype = 'advisory'
                    and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(app.count(locks).await, 0);
    let doctor = cli::run(&cli::reaching(&url), &["doctor", "--json"]).await;
    let said = "DATABASE_URL leads through a pooler in transaction mode";
    assert!(doctor.out.contains(said), "{doctor:?}");
    let mut settings = cli::reaching(&url);
    settings.insert(
        "DATABASE_DIRECT_URL".into(),
        app.database.direct_url.clone(),
    );
    let done = cli::run(&settings, &["migrate"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[rstest]
#[case::past_it(None)]
#[case::in_session_mode(Some("session"))]
#[tokio::test]
async fn with_a_session_of_its_own_it_migrates(#[case] mode: Option<&str>) {
    let app = a_host_with("").await;
    let (_pooler, url) = match mode {
        None => (None, app.database.direct_url.clone()),
        Some(mode) => match through(&app, mode) {
            Some((pooler, url)) => (Some(pooler), url),
            None => return,
        },
    };

    let done = cli::run(&cli::reaching(&url), &["migrate"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    let doctor = cli::run(&cli::reaching(&url), &["doctor", "--json"]).await;
    assert!(!doctor.out.contains("transaction mode"), "{doctor:?}");
    let tables = "select count(*) from pg_tables where schemaname = '{}'";
    let tables = tables.replace("{}", schema().name());
    assert!(app.count(&tables).await > 20);
}
