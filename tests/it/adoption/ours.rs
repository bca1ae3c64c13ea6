//! A later version of ours comes while a host's tables stand for ours.

use std::borrow::Cow;

use jarvis_cron::database::migrating::{self, Patience};
use jarvis_cron::database::obstacles::Others;
use jarvis_cron::database::{MIGRATOR, Schema};
use sqlx::migrate::{Migration, MigrationType};
use sqlx::{Connection, PgConnection, SqlSafeStr};

use super::*;

/// The migrations of this version, and these two of the next.
fn of_the_next_version(port: &'static str, other: &'static str) -> Cow<'static, [Migration]> {
    let next = [(port, "a port"), (other, "our own")];
    let next = (20_991_231_000_001..).zip(next);
    let next = next.map(|(version, (sql, what))| {
        let what = Cow::Borrowed(what);
        Migration::new(
            version,
            what,
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    MIGRATOR.iter().cloned().chain(next).collect()
}

#[tokio::test]
async fn a_migration_of_ours_changes_the_tables_that_stand_aside_and_not_the_host_s() {
    let app = a_shop(&[]).await;
    let theirs = dump(&app, &["--schema=public"]).await;
    let next = of_the_next_version(
        "-- port: orders\nalter table orders add column note text not null default 'of ours';",
        "alter table alerts add column note text;",
    );
    let mut db = PgConnection::connect(&app.database.direct_url)
        .await
        .unwrap();
    let (schema, others, patience) = (
        Schema::named("jarvis").unwrap(),
        Others::default(),
        Patience::default(),
    );

    let done = migrating::apply(&mut db, next, &schema, &others, &patience, |_| {}).await;
    db.close().await.unwrap();

    assert_eq!(done.unwrap().applied, 2);
    assert_eq!(dump(&app, &["--schema=public"]).await, theirs);
    let reply = app.deliver(JOB).await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let dropped = cli::run(&app.settings, &["adopt", "drop", "--all"]).await;
    assert_eq!(dropped.code, Some(0), "{dropped:?}");
    let noted = "select count(*) from information_schema.columns
                  where table_schema = 'jarvis' and column_name = 'note'";
    assert_eq!(app.count(noted).await, 2, "orders and alerts");
    apply(&app, &root(SHOP), "shop").await;
}
