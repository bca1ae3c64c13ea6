//! What is ours while a host's tables stand for ours, and after.

use std::borrow::Cow;

use jarvis_cron::database::migrating::{self, Patience};
use jarvis_cron::database::obstacles::Others;
use jarvis_cron::database::{MIGRATOR, Schema};
use sqlx::migrate::{Migration, MigrationType};
use sqlx::{Connection, PgConnection, SqlSafeStr};

use super::files::Written;
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

/// The role of the service gets its rights when the views are there, and keeps
/// them on our own tables and on the next views.
#[tokio::test]
async fn rights_go_with_the_tables_that_stand_for_one_another() {
    let app = beside(include_str!("../fixtures/adopt/gym.sql"), &[]).await;
    let role = format!("reader_{}", uuid::Uuid::new_v4().simple());
    apply(&app, &root(GYM), "gym").await;
    app.execute(&format!(
        "create role {role}; grant select, update on jarvis.members to {role}"
    ))
    .await;
    let may = format!(
        "select count(*) from unnest(array['select', 'update']) as it (right)
          where has_table_privilege('{role}', 'jarvis.members', it.right)"
    );
    let may = may
        .replace("(right)", "(word)")
        .replace("it.right", "it.word");

    let dropped = cli::run(&app.settings, &["adopt", "drop"]).await;
    let between = app.count(&may).await;
    // A run in between leaves its log in our own table.
    assert_eq!(
        app.deliver("health-check-kiosks").await.outcome(),
        (200, "succeeded")
    );
    apply(&app, &root(GYM), "gym").await;

    assert_eq!(dropped.code, Some(0), "{dropped:?}");
    assert_eq!((between, app.count(&may).await), (2, 2));
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

/// A host may drop a table of its own with all that hangs on it.
#[tokio::test]
async fn a_function_of_ours_that_went_with_a_table_of_the_host_s_is_told_and_comes_back() {
    let app = a_shop(&[]).await;
    app.execute("drop table public.payments cascade").await;
    app.execute("drop view jarvis.orders cascade").await;

    let ready = app
        .call(axum::http::Method::GET, "/health/ready", &[], "")
        .await;
    let dropped = cli::run(&app.settings, &["adopt", "drop", "--all"]).await;

    assert_eq!(ready.status, 503);
    assert!(
        ready.body["ports"]
            .to_string()
            .contains("order_seen(pg_catalog.uuid): is gone"),
        "{ready:?}"
    );
    assert_eq!(dropped.code, Some(0), "{dropped:?}");
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
    let ready = app
        .call(axum::http::Method::GET, "/health/ready", &[], "")
        .await;
    assert_eq!(ready.status, 200, "{ready:?}");
}

#[tokio::test]
async fn what_was_kept_can_be_dropped_later() {
    let app = a_shop(&[]).await;
    app.execute("insert into host_released values ('i1', now(), 'tried')")
        .await;
    let first = cli::run(&app.settings, &["adopt", "drop"]).await;

    let later = cli::run(&app.settings, &["adopt", "drop", "--all"]).await;
    let again = cli::run(&app.settings, &["adopt", "drop", "--all"]).await;

    assert!(first.out.contains("host_released"), "{first:?}");
    assert!(
        later
            .out
            .contains("Dropped what was kept: jarvis.host_released"),
        "{later:?}"
    );
    assert_eq!(again.out, "Nothing is adopted.\n");
}

/// Each file gives way in its own time, in whatever order.
#[tokio::test]
async fn two_files_are_dropped_one_after_the_other() {
    let app = beside(include_str!("../fixtures/adopt/shop.sql"), &[]).await;
    let whole = dump(&app, &["--schema=jarvis"]).await;
    let orders = Written::new(
        "create table public.of_orders (like jarvis_own.orders);
         create view orders as select * from public.of_orders;",
    );
    let stock = Written::new(
        "create table public.of_levels (like jarvis_own.stock_levels);
         create view stock_levels as select * from public.of_levels;",
    );
    apply(&app, &orders.0, "orders").await;
    apply(&app, &stock.0, "stock_levels").await;

    for port in ["orders", "stock_levels"] {
        let done = cli::run(&app.settings, &["adopt", "drop", "--ports", port]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
    }

    assert_eq!(dump(&app, &["--schema=jarvis"]).await, whole);
}
