//! The host gives its columns and tables other names; what is not bound to pass is refused by Postgres.

use super::*;

/// Each column and each table of the host's gets another name.
const RENAME_ALL: &str = "do $$
    declare
        it record;
    begin
        for it in select table_name, column_name from information_schema.columns where table_schema = 'public' loop
            execute format('alter table public.%I rename column %I to %I', it.table_name, it.column_name, it.column_name || '_');
        end loop;
        for it in select table_name from information_schema.tables where table_schema = 'public' loop
            execute format('alter table public.%I rename to %I', it.table_name, it.table_name || '_');
        end loop;
    end $$";

/// What an adoption leaves of its own.
const LEFT: &str = "select (select count(*) from pg_proc where pronamespace = 'jarvis'::regnamespace)
    + (select count(*) from pg_trigger where not tgisinternal)
    + (select count(*) from pg_class where relnamespace in ('jarvis'::regnamespace, 'public'::regnamespace))";

async fn renamed(tables: &str, file: &str, ports: &str) -> (App, i64) {
    let app = beside(tables, &[]).await;
    let before = app.count(LEFT).await;
    apply(&app, &root(file), ports).await;
    app.execute(RENAME_ALL).await;
    (app, before)
}

async fn drops_all(app: &App, before: i64) {
    let done = cli::run(&app.settings, &["adopt", "drop", "--all"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(app.count(LEFT).await, before, "{done:?}");
}

#[rstest]
#[case::expiry(JOB, "orders_expired", 27, 1054)]
#[case::clean_up("cleanup-stale-payment-intents", "payment_intents_canceled", 1, 1000)]
#[tokio::test]
async fn the_jobs_of_a_shop_go_on_under_other_names(
    #[case] job: &str,
    #[case] result: &str,
    #[case] expected: i64,
    #[case] units: i64,
) {
    let (app, before) = renamed(include_str!("../fixtures/adopt/shop.sql"), SHOP, "shop").await;
    shop::answer(&app);
    if job != JOB {
        app.execute(
            "update public.payments_ set created_at_ = '2026-01-01T00:00:00.000Z';
             update public.orders_ set status_ = 'CANCELLED' where id_ in ('order1', 'order3')",
        )
        .await;
    }

    let reply = app.deliver(job).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()[result], expected, "{reply:?}");
    let canceled = "select count(*) from public.payments_ where status_ = 'canceled'";
    assert_eq!(app.count(canceled).await, 1);
    let counted = "select sum(quantity_) from public.stocks_";
    assert_eq!(app.count(counted).await, units);
    drops_all(&app, before).await;
}

#[tokio::test]
async fn kiosks_and_alerts_of_gyms_go_on_under_other_names() {
    let (app, before) = renamed(include_str!("../fixtures/adopt/gym.sql"), GYM, "gym").await;
    app.execute("update public.kiosks_ set updated_at_ = now() - interval '2 days'")
        .await;

    let first = app.deliver(gym::HEALTH).await;
    app.execute(
        "update public.kiosks_ set last_heartbeat_ = now() where slug_ = 'kiosk-3';
         update public.manager_alerts_ set status_ = 'dismissed' where id_ = (select min(id_::text) from public.manager_alerts_)::uuid;
         delete from public.manager_alerts_ where status_ = 'pending'",
    )
    .await;
    let second = app.deliver(gym::HEALTH).await;

    assert_eq!(first.results()["status_changed"], 2, "{first:?}");
    assert_eq!(second.results()["status_changed"], 1, "{second:?}");
    assert_eq!(app.count("select count(*) from kiosk_heartbeats").await, 1);
    let alerts = "select distinct status from alerts where kiosk_id is not null";
    assert_eq!(cells(&app, alerts).await, json!([["dismissed"]]));
    drops_all(&app, before).await;
}

#[tokio::test]
async fn members_and_reports_of_gyms_go_on_under_other_names() {
    let (app, before) = renamed(include_str!("../fixtures/adopt/gym.sql"), GYM, "gym").await;
    members::sign(&app).await;

    let churn = app.deliver(gym::CHURN).await;
    let reports = app.deliver(gym::REPORTS).await;
    let again = app.operate(gym::REPORTS, "force=true").await;
    let cleanup = app.deliver(gym::CLEANUP).await;
    app.execute("delete from public.gym_members_v2_ where badge_id_ in ('B1007', 'B1008')")
        .await;

    for reply in [&churn, &reports, &again, &cleanup] {
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    }
    for (rows, expected) in [
        (
            "public.member_analytics_ where churn_risk_score_ is not null",
            58,
        ),
        ("member_churn", 58),
        ("public.insights_reports_ where metrics_ is not null", 2),
        ("public.gym_members_v2_ where first_name_ = 'anonyme'", 10),
        ("public.system_logs_ where log_type_ like 'cron%'", 4),
        (
            "public.openai_realtime_sessions_ where session_metadata_ <> '{}'",
            3,
        ),
    ] {
        let count = format!("select count(*) from {rows}");
        assert_eq!(app.count(&count).await, expected, "{rows}");
    }
    drops_all(&app, before).await;
}

#[tokio::test]
async fn a_column_that_only_a_trigger_writes_is_neither_dropped_nor_given_another_type() {
    let (shop, gym) = tokio::join!(a_shop(&[]), a_gym());
    for (app, table, column) in [
        (&shop, "payments", "last_error_message"),
        (&shop, "stocks", "quantity"),
        (&shop, "stocks", "updated_at"),
        (&gym, "gym_members_v2", "phone"),
        (&gym, "member_visits", "badge_scanned"),
        (&gym, "member_facts", "member_id"),
        (&gym, "manager_alerts", "resolved_by"),
        (&gym, "manager_alerts", "title"),
        (&gym, "member_analytics", "churn_factors"),
        (&gym, "insights_reports", "recommendations"),
        (&gym, "insights_reports", "period_end"),
    ] {
        for change in ["drop column", "alter column"] {
            let kind = if change == "drop column" {
                ""
            } else {
                " type varchar(99) using null"
            };
            let migration = format!("alter table public.{table} {change} {column}{kind}");
            let refused = app.db.execute(AssertSqlSafe(migration.clone())).await;
            let refused = refused.expect_err(&migration).to_string();
            let is_kept = refused.contains("because other objects depend on it")
                || refused.contains("cannot alter type of a column used by a");
            assert!(is_kept, "{migration}: {refused}");
        }
        let column = format!("alter table public.{table} add column of_today text");
        app.db.execute(AssertSqlSafe(column)).await.ok();
    }
}
