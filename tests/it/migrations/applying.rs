//! `migrate`: beside others at work, again after it broke off, and on a
//! database that is ahead of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jarvis_cron::database::migrating::{Patience, Step};
use jarvis_cron::database::obstacles::Others;
use sqlx::migrate::Migrate;
use sqlx::{Connection, PgConnection};

use crate::app::App;
use crate::cli;
use crate::database::schema;

/// As before the last migrations: applied up to where tokens were spent by
/// their first run, and an index of a broken-off try in the way of the next.
async fn broken_off(app: &App) {
    app.execute(
        "delete from _sqlx_migrations where version between 20261128000002 and 20261128000009;
         drop index job_runs_token_spent_once, job_runs_of_token;
         create unique index job_runs_signature_spent_once on job_runs (signature_jti);
         alter table report_deliveries drop column mail_key;
         create index job_runs_token_spent_once on job_runs (signature_jti);
         update pg_index set indisvalid = false
          where indexrelid = 'job_runs_token_spent_once'::regclass",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_that_broke_off_is_done_by_the_next_and_two_at_once_do_not_disturb_each_other() {
    let app = App::new().await;
    broken_off(&app).await;
    let url = &app.database.direct_url;
    let schema = schema();
    let migrate = || jarvis_cron::cli::migrate::apply(url.parse().unwrap(), &schema);

    let (one, two) = tokio::join!(migrate(), migrate());

    let mut applied = [one.unwrap(), two.unwrap()];
    applied.sort_unstable();
    assert_eq!(applied[0], 0);
    assert!(applied[1] >= 4, "{applied:?}");
    let valid = "select count(*) from pg_index
                  where indisvalid and indisunique
                    and indexrelid = 'job_runs_token_spent_once'::regclass";
    assert_eq!(app.count(valid).await, 1);
    assert_eq!(migrate().await.unwrap(), 0);
}

/// As before the last migration that alters a table.
pub(super) async fn without_the_last_alteration(app: &App) {
    app.execute(
        "delete from _sqlx_migrations where version = 20261128000009;
         alter table report_deliveries drop column mail_key",
    )
    .await;
}

pub(super) fn hasty(in_all: Duration) -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        for_a_lock: Duration::from_millis(100),
        between_tries: Duration::from_millis(50),
        in_all,
        ..Patience::default()
    }
}

#[tokio::test]
async fn a_migration_lets_those_pass_who_hold_or_want_its_table_and_comes_again() {
    let app = App::new().await;
    without_the_last_alteration(&app).await;
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("select from report_deliveries")
        .execute(&mut *holder)
        .await
        .unwrap();
    let tries = AtomicU32::new(0);
    let tell = |step: Step<'_>| {
        if let Step::TryAgain(migration, number) = step {
            assert_eq!(migration.version, 20_261_128_000_009);
            tries.store(number, Ordering::Relaxed);
        }
    };
    let (options, schema) = (app.database.direct_url.parse().unwrap(), schema());
    let patience = hasty(Duration::from_mins(1));
    let others = Others::default();
    let migrate = jarvis_cron::cli::migrate::run(options, &schema, &others, &patience, tell);
    // Others wait for the migration no longer than it waits itself.
    let others = async {
        let mut longest = Duration::ZERO;
        while tries.load(Ordering::Relaxed) < 3 {
            let began = Instant::now();
            app.rows("select * from report_deliveries").await;
            longest = longest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        holder.rollback().await.unwrap();
        longest
    };

    let (migrated, longest) = tokio::join!(migrate, others);

    assert_eq!(migrated.unwrap().applied, 1);
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    app.rows("select mail_key from report_deliveries").await;
}

#[tokio::test]
async fn a_migration_whose_table_is_held_for_too_long_fails_and_changes_nothing() {
    let app = App::new().await;
    without_the_last_alteration(&app).await;
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("select from report_deliveries")
        .execute(&mut *holder)
        .await
        .unwrap();
    let (options, schema) = (app.database.direct_url.parse().unwrap(), schema());
    let patience = hasty(Duration::from_millis(300));

    let failed =
        jarvis_cron::cli::migrate::run(options, &schema, &Others::default(), &patience, |_| {})
            .await;

    let error = format!("{:#}", failed.unwrap_err());
    assert!(error.contains("20261128000009"), "{error}");
    assert!(error.contains("lock timeout"), "{error}");
    let applied = "select count(*) from _sqlx_migrations where version = 20261128000009";
    assert_eq!(app.count(applied).await, 0);
}

#[tokio::test]
async fn a_database_that_is_ahead_of_the_program_is_left_as_it_is() {
    let app = App::new().await;
    app.execute(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (29990101000001, 'of a later version', true, 'x', 1),
                (29990101000002, 'of a later version', true, 'x', 1)",
    )
    .await;

    let settings = cli::reaching(&app.database.direct_url);

    let done = cli::run(&settings, &["migrate"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    let said = &done.out;
    assert!(said.starts_with("0 migrations applied"), "{said}");
    assert!(
        said.contains("ahead of this program: it has 2 migrations"),
        "{said}"
    );
    assert!(said.contains("29990101000002 the newest"), "{said}");
    let known = "select count(*) from _sqlx_migrations where version > 20990101000000";
    assert_eq!(app.count(known).await, 2);
}

#[tokio::test]
async fn a_migration_that_was_changed_after_it_was_applied_is_refused() {
    let app = App::new().await;
    app.execute("update _sqlx_migrations set checksum = 'x' where version = 20261101000001")
        .await;

    let options = app.database.direct_url.parse().unwrap();
    let failed = jarvis_cron::cli::migrate::apply(options, &schema()).await;

    let error = format!("{:#}", failed.unwrap_err());
    assert!(error.contains("20261101000001"), "{error}");
}

/// sqlx's own lock, which the migrations of a host written in Rust take.
#[tokio::test]
async fn it_does_not_wait_for_the_migrations_of_the_host() {
    let app = App::new().await;
    let mut host = PgConnection::connect(&app.database.direct_url)
        .await
        .unwrap();
    host.lock().await.unwrap();

    let done = cli::run(&cli::reaching(&app.database.direct_url), &["migrate"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    host.unlock().await.unwrap();
}
