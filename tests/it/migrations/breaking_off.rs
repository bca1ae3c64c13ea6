//! `migrate` that is killed, held up or left without an answer.

use std::process::Stdio;
use std::time::Duration;

use jarvis_cron::cli::migrate;
use jarvis_cron::database::migrating::{Patience, Step};
use jarvis_cron::database::obstacles::Others;
use parking_lot::Mutex;
use sqlx::{Postgres, Transaction};
use tokio::net::TcpListener;

use super::applying::{hasty, without_the_last_alteration};
use crate::app::App;
use crate::cli;
use crate::connections::password;
use crate::crashes::exactly::WAITING;
use crate::database::schema;
use crate::processes::until;

/// As before an index was built.
async fn without_an_index(app: &App) {
    app.execute(
        "delete from _sqlx_migrations where version = 20261128000003;
         drop index job_runs_of_token",
    )
    .await;
}

/// Keeps an index of the runs from being finished.
async fn hold_the_runs(app: &App) -> Transaction<'static, Postgres> {
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("lock table job_runs in row exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();
    holder
}

/// The server finishes the index for a client that is gone.
#[tokio::test]
async fn a_migrate_that_is_killed_while_it_builds_an_index_is_done_by_the_next() {
    let app = App::new().await;
    without_an_index(&app).await;
    let holder = hold_the_runs(&app).await;
    let url = app.database.direct_url.clone();
    let settings = cli::reaching(&url);
    let mut process = cli::command(&settings, &["migrate"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("it builds", async || app.count(WAITING).await == 1).await;

    process.kill().await.unwrap();
    holder.rollback().await.unwrap();

    let applied = migrate::apply(url.parse().unwrap(), &schema())
        .await
        .unwrap();
    assert_eq!(applied, 1);
    let valid = "select count(*) from pg_index
                  where indisvalid and indexrelid = 'job_runs_of_token'::regclass";
    assert_eq!(app.count(valid).await, 1);
}

#[tokio::test]
async fn a_migrate_that_broke_off_while_it_built_an_index_anew_keeps_the_old_one() {
    let app = App::new().await;
    app.execute(
        "delete from _sqlx_migrations where version = 20261129000055;
         create index alerts_by_trace_ccnew on alerts (kind)",
    )
    .await;
    let url = &app.database.direct_url;

    let applied = migrate::apply(url.parse().unwrap(), &schema())
        .await
        .unwrap();

    assert_eq!(applied, 1);
    let indexes = "select count(*) from pg_class where relname like 'alerts_by_trace%'";
    assert_eq!(app.count(indexes).await, 1);
}

/// Of any transaction in the database that was open before, whatever it uses.
#[tokio::test]
async fn what_an_index_waits_for_is_said() {
    let app = App::new().await;
    without_an_index(&app).await;
    let holder = hold_the_runs(&app).await;
    let said = Mutex::new(Vec::new());
    let patience = Patience {
        silent: Duration::from_millis(20),
        ..Patience::default()
    };
    let tell = |step: Step<'_>| {
        if let Step::Blocked(pid, what) = step {
            said.lock().push(format!("{pid} {what}"));
        }
    };
    let let_go = async {
        until("it is said", async || !said.lock().is_empty()).await;
        holder.rollback().await.unwrap();
    };

    let (url, schema) = (app.database.direct_url.parse().unwrap(), schema());
    let others = Others::default();
    let (migrated, ()) = tokio::join!(migrate::run(url, &schema, &others, &patience, tell), let_go);

    assert_eq!(migrated.unwrap().applied, 1);
    let said = &said.lock()[0];
    assert!(said.contains("idle in transaction since"), "{said}");
}

/// Some providers give every role a limit, and an index may take hours.
#[tokio::test]
async fn a_limit_of_the_role_does_not_break_off_an_index() {
    let app = App::new().await;
    without_an_index(&app).await;
    app.execute(
        "do $$ begin
            execute format('alter database %I set statement_timeout = 50', current_database());
         end $$",
    )
    .await;
    let holder = hold_the_runs(&app).await;
    let let_go = async {
        until("it builds", async || app.count(WAITING).await == 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        holder.rollback().await.unwrap();
    };

    let (url, schema) = (app.database.direct_url.parse().unwrap(), schema());
    let (applied, ()) = tokio::join!(migrate::apply(url, &schema), let_go);

    assert_eq!(applied.unwrap(), 1);
}

#[tokio::test]
async fn an_index_of_others_that_is_not_valid_is_left_alone() {
    let app = App::new().await;
    without_an_index(&app).await;
    // Its name is a word of a migration.
    app.execute(
        "create index signature_jti on job_runs (attempt);
         update pg_index set indisvalid = false where indexrelid = 'signature_jti'::regclass",
    )
    .await;

    let url = app.database.direct_url.parse().unwrap();
    assert_eq!(migrate::apply(url, &schema()).await.unwrap(), 1);

    let theirs = "select count(*) from pg_class where relname = 'signature_jti'";
    assert_eq!(app.count(theirs).await, 1);
}

#[tokio::test]
async fn another_migrate_is_not_waited_for_for_ever() {
    let app = App::new().await;
    let mut other = app.db.acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock(hashtextextended('jarvis-cron migrate', 0))")
        .execute(&mut *other)
        .await
        .unwrap();

    let options = app.database.direct_url.parse().unwrap();
    let failed = migrate::run(
        options,
        &schema(),
        &Others::default(),
        &hasty(Duration::from_millis(300)),
        |_| {},
    )
    .await;

    let error = format!("{:#}", failed.unwrap_err());
    assert!(error.contains("another migrate is at work"), "{error}");
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://u:p@{}/d", listener.local_addr().unwrap());
    let settings = cli::Settings::from([
        ("DATABASE_URL".to_owned(), url),
        ("DATABASE_ACQUIRE_TIMEOUT_MS".to_owned(), "50".to_owned()),
    ]);

    let done = tokio::time::timeout(Duration::from_secs(20), cli::run(&settings, &["migrate"]));

    let done = done.await.unwrap();
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("does not answer"), "{done:?}");
}

/// The server stops it for one that waits for `deadlock_timeout`, and a
/// migration gives up before.
#[tokio::test]
async fn a_vacuum_of_the_server_gives_way() {
    let (_server, database) = password::server().await;
    let app = App::with_database(database, &[]).await;
    without_the_last_alteration(&app).await;
    for setting in ["autovacuum_naptime = 1", "deadlock_timeout = 200"] {
        let set = sqlx::AssertSqlSafe(format!("alter system set {setting}"));
        sqlx::raw_sql(set).execute(&app.db).await.unwrap();
    }
    app.execute(
        "alter table report_deliveries
           set (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
         set local session_replication_role = replica;
         insert into report_deliveries (report_id, recipient)
         select gen_random_uuid(), n || '@gym.test' from generate_series(1, 20000) n;
         update report_deliveries set attempts = 1;
         select pg_reload_conf()",
    )
    .await;
    let vacuums = "select count(*) from pg_stat_activity
                    where backend_type = 'autovacuum worker' and query like '%report_deliveries%'";
    until("it vacuums", async || app.count(vacuums).await == 1).await;

    let options = app.database.direct_url.parse().unwrap();
    let migrated = migrate::run(
        options,
        &schema(),
        &Others::default(),
        &hasty(Duration::from_secs(3)),
        |_| {},
    )
    .await;

    assert_eq!(migrated.unwrap().applied, 1);
}
